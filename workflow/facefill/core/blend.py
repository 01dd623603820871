"""Blending: how a generated face is laid into the hole so that no seam is seen."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from facefill.core.progress import progress

NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def blend(
    kind: str,
    observed: np.ndarray,
    known: np.ndarray,
    filled: np.ndarray,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Complete faces: what is known of `observed`, and in the holes what `filled` becomes there.

    `observed` and `filled` are uint8 [N, size, size, 3], `known` is bool [N, size, size]. `kind`
    is "none" (the fill as it is), "poisson" (`poisson`) or "seamless" (OpenCV's seamlessClone,
    for comparison). Hidden pixels of `observed` are not looked at. `start`, like `filled`, is
    another fill onto which "seamless" clones: Iizuka et al. 2017 take Telea's. An
    exact solution does not depend on one.
    """
    blended = filled
    if kind == "poisson":
        blended = poisson(observed, known, filled)
    elif kind == "seamless":
        starts = [None] * len(filled) if start is None else start
        faces = zip(observed, known, filled, starts, strict=True)
        blended = np.stack([_seamless(*face) for face in faces])
    return np.where(known[..., None], observed, blended)


def poisson(observed: np.ndarray, known: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Solve Yeh et al. 2017, equation 7 (Pérez et al. 2003): the fill's gradients, known edges.

    In the hole x minimises the squared difference between its gradients and those of `filled`,
    where every known pixel is fixed: for each hidden pixel p, the sum over its neighbours q
    (four, fewer at the picture's border) of (x_p - x_q) - (filled_p - filled_q) is 0. So
    x = filled + d, where d is harmonic in the hole and continues the known pixels' difference to
    the fill. Solved exactly; without any known pixel d has no edge to start from and is 0.

    Arguments as of `blend`; returns uint8 [N, size, size, 3], right in the hole only.
    """
    result = filled.copy()
    with progress(len(filled), "blending", "faces") as bar:
        for mask, rows in _by_mask(known):
            if mask.any() and not mask.all():
                continue_inside = _harmonic(mask)
                for row in rows:
                    difference = observed[row].astype(np.float64) - filled[row]
                    blended = filled[row][~mask] + continue_inside(difference)
                    # Halves are rounded alike, wherever the last bits fall.
                    result[row][~mask] = blended.round(6).round().clip(0, 255)
            bar.update(len(rows))
    return result


def _by_mask(known: np.ndarray) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Every different mask with the rows of the faces that have it: one factorisation for all."""
    rows: dict[bytes, list[int]] = {}
    for row, mask in enumerate(known):
        rows.setdefault(mask.tobytes(), []).append(row)
    for same in rows.values():
        yield known[same[0]], same


def _harmonic(mask: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that continues values, [size, size, 3], from where `mask` is True into the hole.

    It returns float64 [hidden pixels, 3]: the solution of Laplace's equation on the pixel grid.
    """
    size = len(mask)
    hidden = np.argwhere(~mask)
    number = np.full(mask.shape, -1)
    number[~mask] = np.arange(len(hidden))
    degree = np.zeros(len(hidden))
    rows, columns, edges = [], [], []
    for step in NEIGHBOURS:
        there = hidden + step
        inside = ((there >= 0) & (there < size)).all(axis=1)
        y, x = there[inside].T
        here = np.flatnonzero(inside)
        degree += inside
        fixed = mask[y, x]
        edges.append((here[fixed], y[fixed], x[fixed]))
        rows.append(here[~fixed])
        columns.append(number[y[~fixed], x[~fixed]])
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    couplings = sparse.csc_matrix((-np.ones(len(rows)), (rows, columns)), [len(hidden)] * 2)
    solve = splu(couplings + sparse.diags(degree, format="csc")).solve

    def continue_inside(values: np.ndarray) -> np.ndarray:
        right = np.zeros((len(hidden), 3))
        for here, y, x in edges:
            right[here] += values[y, x]
        return solve(right)

    return continue_inside


def _seamless(
    observed: np.ndarray, known: np.ndarray, filled: np.ndarray, start: np.ndarray | None
) -> np.ndarray:
    """OpenCV's seamlessClone of one face's fill.

    It keeps the edge of its mask's bounding box, and takes the target's gradients in the mask's
    outer 3 pixels: those of the seam, were the hole its mask. So that is wider, by one more for the
    gradients across the hole's edge. Where the hole touches the picture's border, the fill itself
    goes on outside. With a `start` in the hole that rim is taken from there, and the mask is the
    hole.
    """
    if known.all() or not known.any():
        return filled
    wider = 4 if start is None else 0
    rim = wider + 2
    target = np.where(known[..., None], observed, filled if start is None else start)
    target, source = (
        np.pad(face, [(rim, rim)] * 2 + [(0, 0)], "edge") for face in (target, filled)
    )
    hole = np.pad((~known).astype(np.uint8) * 255, rim)
    mask = cv2.dilate(hole, np.ones([2 * wider + 1] * 2, np.uint8))
    ys, xs = np.nonzero(mask)
    # The point on which OpenCV puts the middle of the mask's bounding box: where it is anyway.
    middle = (int(xs.min() + xs.max() + 1) // 2, int(ys.min() + ys.max() + 1) // 2)
    cloned = cv2.seamlessClone(source, target, mask, middle, cv2.NORMAL_CLONE)
    return cloned[rim:-rim, rim:-rim]
