"""Near duplicates: faces cut from one photo that was saved twice, resized or recompressed."""

from collections.abc import Iterator

import numpy as np

COARSE = 16  # pixels of a side: few enough to compare every face with every other
FINE = 32  # pixels of a side: the others' noise and sharpness no longer count
MARGIN = 3  # pixels of FINE that may come from outside when one face is moved onto the other
STEPS = 8  # of the registration
SHIFT, STRETCH = 4, 8  # pixels of FINE that the registration may move, and move the edges apart
GAIN = 0.3  # of the contrast
# Landmarks are found a pixel or two elsewhere after a photo was saved again, so that 64x64 pixels
# differ by 8 to 30 grey levels. Registered, faces of 260 photos of LFW and 180 rendered ones differ
# from themselves at JPEG quality 60, at half and double size, cropped and brightened by 2 to 6 grey
# levels, 0.06 to 0.18 of their contrast (9 of 10); from other people's by 9 and more, 0.25 and more
# (of 50,000 pairs); from other photos of the same person by 6 and more, 0.24 and more.
SAME = 0.18  # of the contrast: the standard deviation of grey levels
HASTY, HOPELESS = 3, 0.4  # steps, and the part of the contrast beyond which they are the last
# At COARSE pixels, with the contrast CONTRAST, so near are 85 % of the photos at half their size,
# 96 % of the other copies, but one pair in 600 of other people in LFW (in 60 of rendered ones).
CONTRAST, CANDIDATE = 32, 20
NEAREST = 10  # candidates of one face in one split; a film has hundreds
BLOCK = 2**24  # comparisons at a time: 64 MB
BATCH = 256  # registrations at a time


def find_near_duplicates(
    splits: dict[str, tuple[list[str], np.ndarray]],
) -> list[tuple[str, str, str, str, str]]:
    """Return (face, split, other, other split, difference) of near duplicates, sorted.

    `splits` are names and faces, uint8 [N, size, size, 3], by split. A pair stands under the
    later split; for each face at most NEAREST of one other split are compared. `difference` is
    the root mean square of grey levels after one face was moved onto the other, and its
    brightness and contrast put right; it is rounded, so that no machine's last bits show.
    """
    names = list(splits)
    fine = {name: _means(faces, FINE) for name, (_, faces) in splits.items()}
    coarse = {name: _normalised(_means(small, COARSE)) for name, small in fine.items()}
    found = []
    for place, name in enumerate(names):
        for other in names[:place]:
            for rows, columns in _batches(_candidates(coarse[name], coarse[other])):
                rows, columns = np.array(rows), np.array(columns)
                near, contrasts = _register(fine[name][rows], fine[other][columns], HASTY)
                hopeful = near <= HOPELESS * contrasts
                if not hopeful.any():
                    continue
                rows, columns = rows[hopeful], columns[hopeful]
                near, contrasts = _register(fine[name][rows], fine[other][columns], STEPS)
                for number in np.flatnonzero(near <= SAME * contrasts):
                    row, column = rows[number], columns[number]
                    pair = splits[name][0][row], name, splits[other][0][column], other
                    found.append((*pair, f"{near[number]:.1f}"))
    return sorted(found)


def _means(faces: np.ndarray, side: int) -> np.ndarray:
    """Grey means over side x side parts of faces, RGB or grey uint8: uint8 [N, side, side]."""
    size = faces.shape[1]
    edges = np.arange(side) * size // side
    widths = np.diff([*edges, size])
    areas = np.outer(widths, widths)
    means = np.empty((len(faces), side, side), np.uint8)
    for row, face in enumerate(faces):
        grey = face.astype(np.int32)
        if grey.ndim == 3:
            grey = (grey @ np.array([299, 587, 114], np.int32) + 500) // 1000
        sums = np.add.reduceat(np.add.reduceat(grey, edges, axis=0), edges, axis=1)
        means[row] = (2 * sums + areas) // (2 * areas)
    return means


def _normalised(means: np.ndarray) -> np.ndarray:
    """Whole numbers -128 to 127 around 0, of the contrast CONTRAST: float32 [N, parts]."""
    parts = means.reshape(len(means), -1).astype(float)
    parts -= parts.mean(axis=1, keepdims=True)
    parts *= CONTRAST / (parts.std(axis=1, keepdims=True) + 1e-9)
    return parts.round().clip(-128, 127).astype(np.float32)


def _candidates(coarse: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield rows of faces, as `_normalised` gives them, that are near each other.

    All sums are of whole numbers below 2^24: float32 holds them exactly, in whatever order.
    """
    norms, other_norms = (np.square(each).sum(axis=1) for each in (coarse, others))
    limits = np.float32(COARSE**2 * CANDIDATE**2) - norms
    step = max(1, BLOCK // len(others))
    for start in range(0, len(coarse), step):
        distances = coarse[start : start + step] @ others.T
        distances *= -2
        distances += other_norms
        for row, near in enumerate(distances, start):
            found = np.flatnonzero(near <= limits[row])
            order = np.argsort(near[found], kind="stable")[:NEAREST]
            yield from ((row, int(column)) for column in found[order])


def _batches(pairs: Iterator[tuple[int, int]]) -> Iterator[tuple[list[int], list[int]]]:
    batch = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == BATCH:
            yield tuple(map(list, zip(*batch, strict=True)))
            batch = []
    if batch:
        yield tuple(map(list, zip(*batch, strict=True)))


def _register(faces: np.ndarray, others: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Register pairs of uint8 [N, FINE, FINE] by affine maps, in so many steps (Lucas-Kanade).

    Return what difference is left, and the contrast of `faces`: float64 [N], in grey levels, of
    the pixels that MARGIN leaves.
    """
    inner = slice(MARGIN, FINE - MARGIN)
    y, x = (each[inner, inner].ravel() for each in np.mgrid[0:FINE, 0:FINE].astype(float))
    v, u = (each / FINE - 0.5 for each in (y, x))
    whole = faces.astype(float)
    down, right = (
        gradient[:, inner, inner].reshape(len(faces), -1)
        for gradient in np.gradient(whole, axis=(1, 2))
    )
    target = whole[:, inner, inner].reshape(len(faces), -1)
    centred = target - target.mean(axis=1, keepdims=True)
    contrast = centred.std(axis=1) + 1e-9
    columns = [right, right * u, right * v, down, down * u, down * v]
    jacobian = np.stack([*columns, np.ones_like(target), centred], axis=2)
    square = jacobian.transpose(0, 2, 1) @ jacobian + 1e-3 * np.eye(jacobian.shape[2])
    solve = np.linalg.inv(square) @ jacobian.transpose(0, 2, 1)
    bounds = np.array([SHIFT, STRETCH, STRETCH] * 2)
    moves = np.zeros((len(faces), 6))
    best = np.full(len(faces), np.inf)
    for _ in range(steps):
        moved = _sample(
            others.reshape(len(others), -1),
            y + moves[:, 3:4] + moves[:, 4:5] * u + moves[:, 5:6] * v,
            x + moves[:, 0:1] + moves[:, 1:2] * u + moves[:, 2:3] * v,
        )
        error = moved - target
        rest = error - error.mean(axis=1, keepdims=True)
        gain = (rest * centred).mean(axis=1, keepdims=True) / np.square(contrast)[:, None]
        rest -= gain.clip(-GAIN, GAIN) * centred
        best = np.minimum(best, np.sqrt(np.square(rest).mean(axis=1)))
        moves -= (solve @ error[:, :, None])[:, :6, 0]
        moves = moves.clip(-bounds, bounds)
    return best, contrast


def _sample(pictures: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bilinear samples of [N, FINE * FINE] at y and x, [N, points]; edges go on."""
    y, x = (each.clip(0, FINE - 1 - 1e-6) for each in (y, x))
    top, left = y.astype(int), x.astype(int)
    place, down, right = top * FINE + left, y - top, x - left

    def at(offset: int) -> np.ndarray:
        return np.take_along_axis(pictures, place + offset, axis=1)

    above = at(0) * (1 - right) + at(1) * right
    below = at(FINE) * (1 - right) + at(FINE + 1) * right
    return above * (1 - down) + below * down
