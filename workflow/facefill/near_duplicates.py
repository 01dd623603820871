"""Near duplicates: faces cut from one photo that was saved twice, resized or recompressed."""

from collections.abc import Iterator

import numpy as np

from facefill.core.mapped import forget

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
SKETCH, SAMPLE = 32, 5000  # numbers that stand for a face at first, and faces that tell which
SLACK = 100  # more than float32 loses of the square of a distance between two sketches
BLOCK = 1024  # faces that are compared with as many others at a time: 4 MB
MANY = 16  # of so many pairs one: comparing all of a block is cheaper than choosing
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
                pairs = _Registration(fine[name][rows], fine[other][columns])
                pairs.go_on(HASTY)
                hopeful = np.flatnonzero(pairs.left <= HOPELESS * pairs.contrast)
                if len(hopeful) == 0:
                    continue
                pairs.keep(hopeful)
                pairs.go_on(STEPS - HASTY)
                for number in np.flatnonzero(pairs.left <= SAME * pairs.contrast):
                    row, column = rows[hopeful[number]], columns[hopeful[number]]
                    pair = splits[name][0][row], name, splits[other][0][column], other
                    found.append((*pair, f"{pairs.left[number]:.1f}"))
    return sorted(found)


def _means(faces: np.ndarray, side: int) -> np.ndarray:
    """Grey means over side x side parts of faces, RGB or grey uint8: uint8 [N, side, side]."""
    size = faces.shape[1]
    edges = np.arange(side) * size // side
    widths = np.diff([*edges, size])
    areas = np.outer(widths, widths)
    means = np.empty((len(faces), side, side), np.uint8)
    for start in range(0, len(faces), BATCH):
        grey = faces[start : start + BATCH].astype(np.int32)
        if grey.ndim == 4:
            grey = (299 * grey[..., 0] + 587 * grey[..., 1] + 114 * grey[..., 2] + 500) // 1000
        sums = np.add.reduceat(np.add.reduceat(grey, edges, axis=1), edges, axis=2)
        means[start : start + BATCH] = (2 * sums + areas) // (2 * areas)
        forget(faces)
    return means


def _normalised(means: np.ndarray) -> np.ndarray:
    """Whole numbers -128 to 127 around 0, of the contrast CONTRAST: float32 [N, parts]."""
    normalised = np.empty((len(means), means[0].size), np.float32)
    for start in range(0, len(means), BATCH):
        parts = means[start : start + BATCH].reshape(-1, means[0].size).astype(float)
        parts -= parts.mean(axis=1, keepdims=True)
        parts *= CONTRAST / (parts.std(axis=1, keepdims=True) + 1e-9)
        normalised[start : start + BATCH] = parts.round().clip(-128, 127)
    return normalised


def _candidates(coarse: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield rows of faces, as `_normalised` gives them, that are near each other.

    Of each face the NEAREST, the nearest first. Every face is compared with every other, so the
    comparison must be cheap: `_sketches` of two faces are never further apart than the faces, and
    leave out nearly all pairs that are not nearer than what was found before.
    """
    sketches, other_sketches = _sketches(coarse, others)
    norms, other_norms = (np.square(each).sum(axis=1) for each in (sketches, other_sketches))
    # The product of the two is the square of a distance but for `norms`.
    sketches = np.column_stack([-2 * sketches, np.ones_like(norms)])
    other_sketches = np.column_stack([other_sketches, other_norms]).T
    for start in range(0, len(coarse), BLOCK):
        rows = slice(start, start + BLOCK)
        nearest = _Nearest(coarse[rows], others)
        for column in range(0, len(others), BLOCK):
            products = sketches[rows] @ other_sketches[:, column : column + BLOCK]
            limits = nearest.limits() + SLACK - norms[rows]
            nearest.offer(column, products <= limits[:, None])
        yield from ((start + row, column) for row, column in nearest.pairs())


def _sketches(coarse: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces by their SKETCH largest principal components and the length of the rest: float32.

    float32 [N, SKETCH + 1] of both: a projection, and the difference of two lengths, make no
    distance longer.
    """
    sample = others[:: max(1, len(others) // SAMPLE)].astype(float)
    _, vectors = np.linalg.eigh(sample.T @ sample)
    axes = vectors[:, ::-1][:, :SKETCH].astype(np.float32)
    sketches = []
    for faces in (coarse, others):
        seen = faces @ axes
        rest = np.square(faces).sum(axis=1) - np.square(seen).sum(axis=1)
        sketches.append(np.column_stack([seen, np.sqrt(rest.clip(0))]))
    return tuple(sketches)


class _Nearest:
    """The NEAREST of `others` to each of `faces`, as they are offered in order.

    All sums are of whole numbers below 2^24: float32 holds them exactly, in whatever order.
    """

    def __init__(self, faces: np.ndarray, others: np.ndarray):
        self._faces, self._others = faces, others
        self._norms, self._other_norms = (np.square(each).sum(axis=1) for each in (faces, others))
        self._distances = np.full((len(faces), NEAREST), np.inf, np.float32)
        self._columns = np.zeros((len(faces), NEAREST), int)

    def limits(self) -> np.ndarray:
        """What the square of a distance must stay below, float32 [faces]."""
        return np.minimum(self._distances[:, -1], COARSE**2 * CANDIDATE**2 + 1)

    def offer(self, start: int, likely: np.ndarray) -> None:
        """Compare those pairs of faces and others from `start` on that are `likely`, bool."""
        columns = slice(start, start + likely.shape[1])
        if np.count_nonzero(likely) > likely.size // MANY:
            distances = self._faces @ self._others[columns].T
            distances *= -2
            distances += self._norms[:, None]
            distances += self._other_norms[columns]
            rows, found = _places(distances < self.limits()[:, None])
            self._take(rows, found + start, distances[rows, found])
            return
        rows, found = _places(likely)
        found += start
        distances = -2 * np.einsum("ij,ij->i", self._faces[rows], self._others[found])
        distances += self._norms[rows] + self._other_norms[found]
        nearer = distances < self.limits()[rows]
        self._take(rows[nearer], found[nearer], distances[nearer])

    def _take(self, rows: np.ndarray, columns: np.ndarray, distances: np.ndarray) -> None:
        """Keep the nearest of those before and of these; of equally near ones the first."""
        changed = np.unique(rows)
        rows = np.concatenate([np.repeat(changed, NEAREST), rows])
        columns = np.concatenate([self._columns[changed].ravel(), columns])
        distances = np.concatenate([self._distances[changed].ravel(), distances])
        order = np.lexsort((columns, distances, rows))
        firsts = np.searchsorted(rows[order], changed)
        kept = order[firsts[:, None] + np.arange(NEAREST)]
        self._columns[changed], self._distances[changed] = columns[kept], distances[kept]

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Row and column of all that are near, the nearest of each row first."""
        for row, place in zip(*np.nonzero(np.isfinite(self._distances)), strict=True):
            yield int(row), int(self._columns[row, place])


def _places(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As np.nonzero of bool [rows, columns], but fifty times as fast where few are True."""
    return np.divmod(np.flatnonzero(chosen), chosen.shape[1])


def _batches(pairs: Iterator[tuple[int, int]]) -> Iterator[tuple[list[int], list[int]]]:
    batch = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == BATCH:
            yield tuple(map(list, zip(*batch, strict=True)))
            batch = []
    if batch:
        yield tuple(map(list, zip(*batch, strict=True)))


class _Registration:
    """Pairs of uint8 [N, FINE, FINE], one moved onto the other by affine maps (Lucas-Kanade).

    `left` is what difference is left, and `contrast` that of `faces`: float64 [N], in grey levels,
    of the pixels that MARGIN leaves.
    """

    def __init__(self, faces: np.ndarray, others: np.ndarray):
        inner = slice(MARGIN, FINE - MARGIN)
        self._y, self._x = (
            each[inner, inner].ravel() for each in np.mgrid[0:FINE, 0:FINE].astype(float)
        )
        self._v, self._u = (each / FINE - 0.5 for each in (self._y, self._x))
        whole = faces.astype(float)
        down, right = (
            gradient[:, inner, inner].reshape(len(faces), -1)
            for gradient in np.gradient(whole, axis=(1, 2))
        )
        self._target = whole[:, inner, inner].reshape(len(faces), -1)
        self._centred = self._target - self._target.mean(axis=1, keepdims=True)
        self.contrast = self._centred.std(axis=1) + 1e-9
        u, v = self._u, self._v
        columns = [right, right * u, right * v, down, down * u, down * v]
        jacobian = np.stack([*columns, np.ones_like(right), self._centred], axis=2)
        square = jacobian.transpose(0, 2, 1) @ jacobian + 1e-3 * np.eye(jacobian.shape[2])
        self._solve = np.linalg.inv(square) @ jacobian.transpose(0, 2, 1)
        self._others = others
        self._moves = np.zeros((len(faces), 6))
        self.left = np.full(len(faces), np.inf)

    def keep(self, chosen: np.ndarray) -> None:
        """Leave out all pairs but those of these numbers."""
        self._target, self._centred = self._target[chosen], self._centred[chosen]
        self._solve, self._others = self._solve[chosen], self._others[chosen]
        self._moves = self._moves[chosen]
        self.contrast, self.left = self.contrast[chosen], self.left[chosen]

    def go_on(self, steps: int) -> None:
        """Take so many more steps."""
        bounds = np.array([SHIFT, STRETCH, STRETCH] * 2)
        u, v = self._u, self._v
        for _ in range(steps):
            moves = self._moves
            moved = _sample(
                self._others,
                self._y + moves[:, 3:4] + moves[:, 4:5] * u + moves[:, 5:6] * v,
                self._x + moves[:, 0:1] + moves[:, 1:2] * u + moves[:, 2:3] * v,
            )
            error = moved - self._target
            rest = error - error.mean(axis=1, keepdims=True)
            gain = (rest * self._centred).mean(axis=1, keepdims=True)
            gain /= np.square(self.contrast)[:, None]
            rest -= gain.clip(-GAIN, GAIN) * self._centred
            self.left = np.minimum(self.left, np.sqrt(np.square(rest).mean(axis=1)))
            moves = moves - (self._solve @ error[:, :, None])[:, :6, 0]
            self._moves = moves.clip(-bounds, bounds)


def _sample(pictures: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bilinear samples of [N, FINE, FINE] at y and x, [N, points]; edges go on."""
    y, x = (each.clip(0, FINE - 1 - 1e-6) for each in (y, x))
    top, left = y.astype(int), x.astype(int)
    down, right = y - top, x - left
    place = top * FINE + left
    place += FINE**2 * np.arange(len(pictures))[:, None]
    pixels = pictures.ravel()
    above = pixels[place] * (1 - right) + pixels[place + 1] * right
    below = pixels[place + FINE] * (1 - right) + pixels[place + FINE + 1] * right
    return above * (1 - down) + below * down
