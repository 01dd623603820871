"""The first guess of a flow: what a normal over faces says of hidden pixels, a batch at a time.

The normal is that of facefill.models.gaussian.normal, with fewer components, so that each face of a
batch may have a mask of its own, and rounded, so that it takes a quarter of the room. Faces are
[N, 3, size, size] in [-1, 1] here, and as vectors in the order [3, size, size].
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facefill.core.observed import observed_by_network
from facefill.core.tensors import to_unit
from facefill.models.flow.cleaning import cleaning_of, none
from facefill.models.flow.grain import FACES, FLOOR, ROWS, filter_of, filtered, white, widened
from facefill.models.flow.kriging import interpolated
from facefill.models.flow.mps import capable
from facefill.models.gaussian.normal import Normal, depth_of

LEVELS = 127  # of the components' whole numbers, on either side of 0
UNIT = 127.5  # grey levels


class Seen(NamedTuple):
    """What is known of some faces, as of facefill.core.observed."""

    observed: Tensor  # float32 [N, 3, size, size] in [-1, 1]
    known: Tensor  # bool [N, 1, size, size]
    known_map: Tensor  # float32 [N, 1, size, size]: 1, 0.5 where the mean of a block is known, or 0
    blocks: Tensor  # long [N] on the CPU, the sides of blocks whose means are known; 0 = none

    def rows(self, chosen: slice) -> "Seen":
        """What is known of some of the faces."""
        return Seen(*(part[chosen] for part in self))

    def turned(self, turn: Callable[[Tensor], Tensor]) -> "Seen":
        """What is known of faces that `turn` has mirrored: [N, channels, size, size] likewise."""
        return Seen(turn(self.observed), turn(self.known), turn(self.known_map), self.blocks)


def see(faces: Tensor, known: Tensor, blocks: Tensor) -> Seen:
    """What is `known` of `faces` (core/observed.py), each with blocks of its own side."""
    observed, known_map = observed_by_network(faces, known, 0)
    for block in blocks.unique().tolist():
        rows = (blocks == block).nonzero()[:, 0].to(faces.device)
        if block:
            observed[rows], known_map[rows] = observed_by_network(faces[rows], known[rows], block)
    return Seen(observed, known, known_map, blocks)


class Guess(nn.Module):
    """Mean, rounded principal components times their deviations, and the noise left over."""

    def __init__(self, size: int, rank: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("components", torch.zeros(3 * size**2, rank, dtype=torch.int8))
        self.register_buffer("scales", torch.zeros(rank))  # of a component's whole numbers
        self.register_buffer("grain", torch.zeros(3, size, size))  # deviation that is left
        self.register_buffer("texture", white(size))  # filter of what is left
        self.register_buffer("cleaning", none(size))  # filter of what no photograph has
        self.register_buffer("noise", torch.zeros(2, dtype=torch.float64))  # as Normal's, in units

    @classmethod
    def of(cls, normal: Normal) -> "Guess":
        """Round the components of `normal` to whole numbers.

        The step of each is 1/127 of its largest value, in photos below one grey level.
        """
        size, rank = normal.size, len(normal.deviations)
        guess = cls(size, rank)

        def planes(values: Tensor) -> Tensor:
            return values.view(size, size, 3, -1).permute(2, 0, 1, 3).squeeze(3).contiguous()

        basis = (normal.components * normal.deviations / UNIT).float()
        scales = basis.abs().amax(0).clamp(min=1e-12) / LEVELS
        guess.scales.copy_(scales)
        guess.components.copy_(planes((basis / scales).round()).view(-1, rank))
        guess.mean.copy_(planes(normal.mean) / UNIT - 1)
        guess.grain.copy_(planes(normal.residual).sqrt() / UNIT)
        guess.noise.copy_(normal.noise)
        guess.noise[0] /= UNIT**2
        return guess

    def learn_filters(self, faces: np.ndarray) -> None:
        """Set `texture` and `cleaning` to those of uint8 `faces`, [N, size, size, 3]."""
        chosen = np.linspace(0, len(faces) - 1, min(FACES, len(faces))).astype(int)
        basis, size = self.basis(), self.mean.shape[1]
        lengths = basis.square().sum(0).clamp(min=1e-12)

        def centred() -> Iterator[Tensor]:
            for rows in np.array_split(chosen, -(-len(chosen) // ROWS)):
                yield to_unit(torch.from_numpy(faces[rows]).permute(0, 3, 1, 2)) - self.mean

        def left() -> Iterator[Tensor]:
            for part in centred():
                yield part - (part.flatten(1) @ basis / lengths @ basis.T).view_as(part)

        self.texture.copy_(filter_of(left(), self.grain))
        self.cleaning.copy_(cleaning_of(centred(), size))

    def basis(self) -> Tensor:
        """W: float32 [3 size^2, rank]; a face is mean + W z + noise, with z standard normal."""
        return self.components.float() * self.scales

    def noise_of(self, known: np.ndarray, block: int) -> float:
        """The noise that suits a mask, bool [size, size], as of `Normal.noise_of`."""
        scale, exponent = self.noise.tolist()
        return scale * depth_of(known, block) ** exponent


class Conditional:
    """What a `Guess` says of faces of which a part is seen."""

    def __init__(
        self,
        guess: Guess,
        masks: Sequence[tuple[np.ndarray, int]],
        device: torch.device,
        noises: Sequence[float] | None = None,
    ):
        """`masks` are pairs of known, bool [size, size], and the side of blocks, 0 = none.

        `noises` are those of the masks, None = those of the guess.
        """
        self.masks, self.mean = masks, guess.mean.to(device)
        self.grain, self.texture = guess.grain.to(device), guess.texture.to(device)
        self.basis = guess.basis().to(device)
        self.noises = [guess.noise_of(*mask) for mask in masks] if noises is None else list(noises)
        self.noise = torch.tensor(self.noises, dtype=torch.float32, device=device)
        self.power = widened(self.texture @ self.texture)

    @cached_property
    def signs(self) -> Tensor | None:
        """What mirroring a face does to its z: factors 1 and -1, [rank]; None = something else."""
        return _mirror_signs(self.basis.view(*self.mean.shape, -1))

    def coefficients(self, seen: Seen, masks: Tensor) -> Tensor:
        """The conditional means of z, [N, rank]; `masks`, long [N], says which mask each has."""
        raise NotImplementedError

    def project(self, seen: Seen) -> Tensor:
        """(H W)' H (x - mean) of faces: [N, rank]."""
        mean = see(self.mean.expand_as(seen.observed), seen.known, seen.blocks)
        return (seen.observed - mean.observed).flatten(1) @ self.basis

    def faces(self, z: Tensor) -> Tensor:
        """The faces of z, [N, rank], as far as the components go."""
        return self.mean + self._pictures(z)

    def refined(self, faces: Tensor, seen: Seen) -> Tensor:
        """Faces of `faces`, and what they miss near what is known (kriging.py)."""
        project = projection(seen)
        missed = seen.observed - project(faces)
        return faces + interpolated(missed, project, self.grain.clamp(min=FLOOR), self.power)

    def translation(self, other: "Conditional") -> tuple[Tensor, Tensor]:
        """Matrix [rank, rank] and shift [rank] that make of the other's z the nearest of this."""
        inverse = self.basis / self.basis.square().sum(0).clamp(min=1e-12)  # orthogonal columns
        return other.basis.T @ inverse, (other.mean - self.mean).flatten() @ inverse

    def deviations(self, seen: Seen, masks: Tensor, z: Tensor, grain: Tensor) -> Tensor:
        """Draws of faces, minus their guesses, from standard normal numbers.

        A draw from the prior, minus the refined guess by what is seen of that draw, errs as guesses
        do (Matheron's rule), so that nothing is factorised. `z` are [N, rank], `grain` is
        [N, 3, size, size].
        """
        drawn = self.faces(z) + self.grain * filtered(grain, self.texture)
        of_drawn = see(drawn, seen.known, seen.blocks)
        return drawn - self.refined(self.faces(self.coefficients(of_drawn, masks)), of_drawn)

    def _pictures(self, z: Tensor) -> Tensor:
        return (z @ self.basis.T).view(-1, *self.mean.shape)


class Posterior(Conditional):
    """With a covariance of z for each of some masks, which many faces share."""

    @cached_property
    def inverse(self) -> Tensor:
        """Of each mask: float32 [masks, rank, rank]; times the noise the covariance of z."""
        return inverses(self.basis, self.masks, self.noises)

    @cached_property
    def spread(self) -> Tensor:
        """The deviations of z under each mask: [masks, rank]."""
        variances = self.inverse.diagonal(dim1=1, dim2=2) * self.noise[:, None]
        return variances.clamp(min=0).sqrt()

    def coefficients(self, seen: Seen, masks: Tensor) -> Tensor:
        return torch.bmm(self.inverse[masks], self.project(seen)[:, :, None])[:, :, 0]


def projection(seen: Seen) -> Callable[[Tensor], Tensor]:
    """The orthogonal projection of pictures, [N, 3, size, size], on what is seen of the faces."""
    if seen.blocks.any():
        return lambda pictures: see(pictures, seen.known, seen.blocks).observed
    return lambda pictures: pictures * seen.known


def inverses(
    basis: Tensor, masks: Sequence[tuple[np.ndarray, int]], noises: Sequence[float]
) -> Tensor:
    """(H W)' (H W) + noise I of each mask, inverted: float32 [masks, rank, rank]."""
    every = basis.T @ basis
    pairs = zip(masks, noises, strict=True)
    return torch.stack([_inverse(basis, every, *mask, noise) for mask, noise in pairs])


def _mirror_signs(components: Tensor) -> Tensor | None:
    """1 for symmetric components, -1 for antisymmetric ones; None where some are neither.

    `components` are [3, size, size, rank]. A normal of faces and their mirror images has no others.
    """
    likeness = (components * components.flip(2)).sum((0, 1, 2))
    likeness = likeness / components.square().sum((0, 1, 2)).clamp(min=1e-12)
    return likeness.sign() if (likeness.abs() > 0.9).all() else None


def _inverse(basis: Tensor, every: Tensor, known: np.ndarray, block: int, noise: float) -> Tensor:
    """(H W)' (H W) + noise I, inverted: float32 [rank, rank]."""
    if block:  # a mean has the noise of a pixel divided by the block's side
        pictures = basis.T.view(-1, 3, *known.shape)
        means = F.avg_pool2d(pictures, block).flatten(1) * block
        gram = means @ means.T
    else:
        rows = torch.from_numpy(known).to(basis.device).flatten().repeat(3)
        fewer = basis[rows] if known.mean() <= 0.5 else basis[~rows]
        gram = fewer.T @ fewer if known.mean() <= 0.5 else every - fewer.T @ fewer
    # In double precision: variances lie five orders of magnitude apart.
    matrix = gram.to(capable(gram.device)).double()
    matrix = (matrix + matrix.T) / 2
    matrix.diagonal().add_(noise)
    return torch.linalg.inv(matrix).float().to(basis.device)
