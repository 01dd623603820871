"""Blending: how a generated face is laid into the hole without a visible seam."""

from collections.abc import Callable

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from facefill.core.masking import by_mask
from facefill.core.progress import progress

NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def blend(
    mode: str,
    observed: np.ndarray,
    known: np.ndarray,
    filled: np.ndarray,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Complete faces: known pixels of `observed`, and in the holes `filled`, blended by `mode`.

    `observed` and `filled` are uint8 [N, size, size, 3], `known` is bool [N, size, size]. `mode`
    is "none" (the fill as it is), "poisson" (`poisson`) or "seamless" (OpenCV's seamlessClone,
    for comparison). Hidden pixels of `observed` do not matter. `start`, like `filled`, is another
    fill onto which "seamless" clones: Iizuka et al. 2017 take Telea's. The exact solution of
    "poisson" does not depend on one. Returns uint8 [N, size, size, 3].
    """
    blended = filled
    if mode == "poisson":
        blended = poisson(observed, known, filled)
    elif mode == "seamless":
        starts = [None] * len(filled) if start is None else start
        faces = zip(observed, known, filled, starts, strict=True)
        blended = np.stack([_seamless(*face) for face in faces])
    return np.where(known[..., None], observed, blended)


def poisson(observed: np.ndarray, known: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Solve Yeh et al. 2017, equation 7 (Pérez et al. 2003): the fill's gradients, known borders.

    In the hole x minimises the squared difference between its gradients and those of `filled`,
    where every known pixel is fixed: for each hidden pixel p, the sum over its neighbours q
    (four, fewer at the picture's border) of (x_p - x_q) - (filled_p - filled_q) is 0. So
    x = filled + d, where d is harmonic in the hole and continues the known pixels' difference to
    the fill. Solved exactly; without any known pixel d has no edge to start from and is 0.

    Arguments as of `blend`; returns uint8 [N, size, size, 3], of which only the hole counts.
    """
    result = filled.copy()
    with progress(len(filled), "blending", "faces") as bar:
        for mask, rows in by_mask(known):
            if mask.any() and not mask.all():
                continue_inside = _harmonic(mask)
                for row in rows:
                    difference = observed[row].astype(np.float64) - filled[row]
                    blended = filled[row][~mask] + continue_inside(difference)
                    # Rounded first, so that the last bits do not decide how a half is rounded.
                    result[row][~mask] = blended.round(6).round().clip(0, 255)
            bar.update(len(rows))
    return result


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
        neighbours = hidden + step
        inside = ((neighbours >= 0) & (neighbours < size)).all(axis=1)
        y, x = neighbours[inside].T
        equations = np.flatnonzero(inside)
        degree += inside
        fixed = mask[y, x]
        edges.append((equations[fixed], y[fixed], x[fixed]))
        rows.append(equations[~fixed])
        columns.append(number[y[~fixed], x[~fixed]])
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    couplings = sparse.csc_matrix((-np.ones(len(rows)), (rows, columns)), [len(hidden)] * 2)
    # The matrix is symmetric and positive definite: no pivots, and an order that suits it.
    laplacian = couplings + sparse.diags(degree, format="csc")
    options = {"SymmetricMode": True}
    solve = splu(laplacian, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options=options).solve

    def continue_inside(values: np.ndarray) -> np.ndarray:
        right_hand_side = np.zeros((len(hidden), 3))
        for equations, y, x in edges:
            right_hand_side[equations] += values[y, x]
        return solve(right_hand_side)

    return continue_inside


def _seamless(
    observed: np.ndarray, known: np.ndarray, filled: np.ndarray, start: np.ndarray | None
) -> np.ndarray:
    """OpenCV's seamlessClone of one face's fill.

    seamlessClone keeps the edge of its mask's bounding box, and takes the target's gradients in the
    mask's outer 3 pixels. With the hole as the mask these would be the gradients of the seam, so
    the mask is 4 pixels wider: 3, and one for the gradients across the hole's edge. Where the hole
    touches the picture's border, the fill is continued outside. With a `start` the target's
    gradients come from there, and the mask is the hole.
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
