"""Filling a hole with patches of the rest of the face.

Wexler, Shechtman and Irani 2007 ("Space-time completion of video"): for every patch that touches
the hole the most similar wholly known patch is searched, then every hidden pixel becomes a weighted
mean of the matches of the patches that cover it; both are repeated, from coarse to fine. The search
is PatchMatch (Barnes, Shechtman, Finkelstein and Goldman 2009): good matches are propagated to
neighbours, and random candidates are tried around the best one.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt

from facefill.core.blend import poisson
from facefill.core.progress import progress
from facefill.methods.patchmatch import Patchmatch

PASSES = 2  # of propagation and of random search per vote
REACHES = (4, 2, 1)  # pixels over which a match is propagated, as in jump flooding
# A patch counts less by this factor for every pixel from its middle to the known ones (Wexler).
GAMMA = 1.3
LEAST_WEIGHT = 1e-6  # of a patch in a vote: a pixel may have nothing better


def fill_by_patches(faces: np.ndarray, known: np.ndarray, settings: Patchmatch) -> np.ndarray:
    """Fill faces, arguments and result as of `Method.fill`.

    The search of every face draws the same random numbers, so that no face depends on others. It
    starts from the membrane over the hole (`poisson` of a black fill); where known pixels are so
    scattered that no patch of the face is wholly known, that is the result.
    """
    filled = poisson(faces, known, np.zeros_like(faces))
    with progress(len(faces), "patchmatch", "faces") as bar:
        for number, (face, known_pixels) in enumerate(zip(faces, known, strict=True)):
            start = np.where(known_pixels[..., None], face, filled[number])
            random = np.random.default_rng(settings.seed)
            filled[number] = _complete(
                start, known_pixels, settings.patch, settings.iterations, random
            )
            bar.update()
    return filled


def _complete(
    start: np.ndarray, known: np.ndarray, side: int, iterations: int, random: np.random.Generator
) -> np.ndarray:
    """Complete one face, [size, size, 3], of which the hole is filled as a start."""
    scales = []
    picture = start.astype(np.float32)
    while len(known) >= side and _windows(known, side).all((2, 3)).any():
        scales.append((picture, known))
        picture, known = _halve(picture, known)
    matches = None
    for picture, known in reversed(scales):
        field = _Field(picture, known, side, random)
        if matches is not None:
            field.enlarge(matches)
        for _ in range(iterations):
            field.search()
            field.vote()
        matches = field.matches
    return (field.picture if scales else start).astype(np.uint8)


def _halve(picture: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of 2x2 pixels, in whole levels; known where all four are. Odd sides grow by one."""
    odd = len(known) % 2
    picture = np.pad(picture, [(0, odd), (0, odd), (0, 0)], "edge")
    known = np.pad(known, [(0, odd), (0, odd)], "edge")
    half = len(known) // 2
    picture = picture.reshape(half, 2, half, 2, 3).mean((1, 3)).round()
    return picture, known.reshape(half, 2, half, 2).all((1, 3))


def _windows(pixels: np.ndarray, side: int) -> np.ndarray:
    """Every patch by the place of its upper left pixel: [rows, columns, ..., side, side]."""
    return np.lib.stride_tricks.sliding_window_view(pixels, (side, side), (0, 1))


class _Field:
    """The best known match of every patch that touches the hole, at one scale.

    Patches are named by the position (y, x) of their upper left pixel, from 0 to `last`. Colours
    are whole levels, so that sums of their squared differences are exact in float32 and a match
    never depends on the order of the sum.
    """

    def __init__(
        self, picture: np.ndarray, known: np.ndarray, side: int, random: np.random.Generator
    ):
        """`picture` is float32 [size, size, 3]; every match is drawn at random from all sources."""
        self.picture, self.known, self.side, self.random = picture, known, side, random
        self.last = len(known) - side
        self.source = _windows(known, side).all((2, 3))
        sources = np.argwhere(self.source)
        self.wanted = tuple(np.nonzero(~self.source))  # patches that touch the hole
        # A patch that is known is its own match.
        self.matches = np.moveaxis(np.indices(self.source.shape), 0, -1)
        self.matches[self.wanted] = sources[random.integers(len(sources), size=self.wanted[0].size)]
        self.distances = np.zeros(self.source.shape, np.float32)
        middles = slice(side // 2, side // 2 + self.last + 1)
        self.trust = GAMMA ** -distance_transform_edt(~known)[middles, middles]

    def enlarge(self, matches: np.ndarray) -> None:
        """Take the matches of half the scale, where they are sources, and vote by them."""
        targets = np.argwhere(~self.source)
        halved = np.minimum(targets // 2, len(matches) - 1)
        doubled = 2 * matches[tuple(halved.T)] + targets - 2 * halved
        usable = self._is_source(doubled)
        self.matches[tuple(targets[usable].T)] = doubled[usable]
        self.vote()

    def search(self) -> None:
        """Improve the matches of the picture as it is now (Barnes et al. 2009, section 3.2)."""
        patches = _windows(self.picture, self.side).reshape(*self.source.shape, -1)
        self.distances[self.wanted] = np.inf
        self._try(patches, self.matches[self.wanted])
        for _ in range(PASSES):
            for reach in REACHES:
                for step in ((0, reach), (reach, 0), (0, -reach), (-reach, 0)):
                    neighbours = np.stack(self.wanted, 1) + step
                    inside = neighbours.clip(0, self.last)
                    self._try(patches, self.matches[tuple(inside.T)] - (inside - neighbours + step))
            radius = self.last
            while radius >= 1:
                drawn = self.random.uniform(-radius, radius, (self.wanted[0].size, 2))
                self._try(patches, self.matches[self.wanted] + drawn.round().astype(int))
                radius /= 2

    def _try(self, patches: np.ndarray, candidates: np.ndarray) -> None:
        """Take `candidates`, a position for each wanted patch, where they are more similar."""
        usable = self._is_source(candidates)
        targets = tuple(axis[usable] for axis in self.wanted)
        candidates = candidates[usable]
        difference = patches[targets] - patches[tuple(candidates.T)]
        distances = np.einsum("ij,ij->i", difference, difference)
        better = distances < self.distances[targets]
        targets = tuple(axis[better] for axis in targets)
        self.matches[targets], self.distances[targets] = candidates[better], distances[better]

    def _is_source(self, positions: np.ndarray) -> np.ndarray:
        inside = ((positions >= 0) & (positions <= self.last)).all(1)
        return inside & self.source[tuple(positions.clip(0, self.last).T)]

    def vote(self) -> None:
        """Replace every hidden pixel by the weighted mean of the matches of the patches over it.

        Weights are exp(-d / (2 sigma^2)) with the distance d and sigma^2 its 75th percentile, times
        the trust in patches near known pixels (Wexler et al. 2007, section 3).
        """
        spread = max(1, np.quantile(self.distances[self.wanted], 0.75))
        weights = self.trust * np.exp(-self.distances / (2 * spread)).clip(LEAST_WEIGHT)
        total, sum_of_weights = np.zeros(self.picture.shape), np.zeros(self.known.shape)
        rows, columns = np.moveaxis(self.matches, -1, 0)
        for y in range(self.side):
            for x in range(self.side):
                pixels = slice(y, y + self.last + 1), slice(x, x + self.last + 1)
                total[pixels] += weights[..., None] * self.picture[rows + y, columns + x]
                sum_of_weights[pixels] += weights
        mean = (total / sum_of_weights[..., None]).round(6).round()
        self.picture = np.where(self.known[..., None], self.picture, mean).astype(np.float32)
