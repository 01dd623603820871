"""A multivariate normal over faces, and what it says of hidden pixels once others are known.

A face x, as a vector of its 3 size^2 values, is mean + W z + noise, with z standard normal: the
columns of W are principal components, each times the standard deviation along it (Tipping and
Bishop 1999). What is known of a face are linear functions of it, H x: pixels, or means of blocks.
Given these, z is normal with mean A^-1 (H W)' H (x - mean) and covariance noise A^-1, where
A = (H W)' (H W) + noise I: by Woodbury's identity the matrix to be factorised has the side of z,
and is the same for all faces that have one mask.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg.blas import ssyrk
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from facefill.train.weights import load, load_settings

# Values of a face whose components are taken in double precision at a time: all of 64 pixels; of
# 256 pixels all at once would take gigabytes.
PART = 16_384


class Normal(nn.Module):
    """Mean, principal components and variances; values of a face in the order [size, size, 3]."""

    def __init__(self, size: int, rank: int):
        super().__init__()
        values, double = 3 * size**2, torch.float64
        self.size = size
        self.register_buffer("mean", torch.zeros(values, dtype=double))
        self.register_buffer("components", torch.zeros(values, rank))  # orthonormal columns
        self.register_buffer("deviations", torch.zeros(rank, dtype=double))  # along them, falling
        self.register_buffer("residual", torch.zeros(values, dtype=double))  # variance that is left
        # Of what is known: its variance is scale * depth^exponent, with the depth of `depth_of`.
        self.register_buffer("noise", torch.zeros(2, dtype=double))  # scale, exponent

    def basis(self, values: slice | list[int] | Tensor) -> Tensor:
        """Rows of W, those of some values of a face: float64 [values, rank]."""
        return self.components[values].double() * self.deviations

    def noise_of(self, known: np.ndarray, block: int) -> float:
        """The noise that suits a mask, in squared grey levels; `known` is bool [size, size]."""
        scale, exponent = self.noise.tolist()
        return scale * depth_of(known, block) ** exponent

    def project(self, observed: np.ndarray, known: np.ndarray, block: int) -> Tensor:
        """(H W)' H (x - mean) of faces: float64 [N, rank].

        `observed`, `known` and `block` are those of a task: facefill.core.masking. With `block`
        every block that has a hidden pixel counts by its mean, and known pixels do as well.
        """
        mean = self.mean.numpy().reshape(observed.shape[1:])
        centred = np.where(known[..., None], observed - mean, 0)
        if block:
            count, side = len(observed), self.size // block
            blocks = (-1, side, block, side, block, 3)
            # Of a block's pixels the known ones have other colours than its mean: not to be seen.
            means = np.where(known[..., None], 0, observed).reshape(blocks).max((2, 4))
            means = means - mean.reshape(blocks).mean((2, 4))
            means *= ~known.reshape(count, side, block, side, block).all((2, 4))[..., None]
            centred += means.repeat(block, axis=1).repeat(block, axis=2)
        rows = torch.from_numpy(centred.reshape(len(observed), -1))
        first, *others = (rows[:, part] @ self.basis(part) for part in parts(len(self.mean)))
        return sum(others, start=first)

    def gram(self, known: np.ndarray, block: int) -> Tensor:
        """Lower triangle of (H W)' (H W) for a mask, bool [size, size]: float64 [rank, rank]."""
        rows = torch.from_numpy(known.ravel().repeat(3))
        if block or known.mean() <= 0.5:
            products = _products(self.components[rows])
        else:  # the hidden ones are fewer, and all together the columns are orthonormal
            products = torch.eye(len(self.deviations)) - _products(self.components[~rows])
        if block:
            pictures = self.components.T.view(-1, self.size, self.size, 3).permute(0, 3, 1, 2)
            hidden = F.max_pool2d(torch.from_numpy(~known)[None].float(), block)
            # A mean has the noise of a pixel divided by the block's side.
            means = (F.avg_pool2d(pictures, block) * block * hidden).flatten(1)
            products += _products(means.T.contiguous())
        return products * self.deviations * self.deviations[:, None]

    def faces(self, z: Tensor) -> Tensor:
        """mean + W z: float64 [N, size, size, 3] from z, [N, rank]."""
        values = [self.mean[part] + z @ self.basis(part).T for part in parts(len(self.mean))]
        return torch.cat(values, 1).view(-1, self.size, self.size, 3)


def parts(values: int) -> Iterator[slice]:
    """So many values, PART at a time."""
    for start in range(0, values, PART):
        yield slice(start, start + PART)


def _products(rows: Tensor) -> Tensor:
    """The lower triangle of rows' rows, float32 [n, rank], as float64: half of the work of all."""
    return torch.from_numpy(ssyrk(1.0, rows.numpy().T, lower=True)).double()


class Posterior:
    """What is known of z under one mask."""

    def __init__(self, gram: Tensor, noise: float):
        """`gram` is what `Normal.gram` returns, `noise` a variance."""
        self.noise = noise
        identity = torch.eye(len(gram), dtype=gram.dtype)
        self.factor = torch.linalg.cholesky(gram + noise * identity)

    def mean(self, projected: Tensor) -> Tensor:
        """The mean of z, [N, rank], given what `Normal.project` returns."""
        return torch.cholesky_solve(projected.T, self.factor).T

    def deviations(self, count: int, random: torch.Generator) -> Tensor:
        """Draw `count` differences of z from its mean: [count, rank]."""
        white = torch.randn(count, len(self.factor), generator=random, dtype=torch.float64)
        drawn = torch.linalg.solve_triangular(self.factor.T, white.T, upper=True)
        return drawn.T * self.noise**0.5


def depth_of(known: np.ndarray, block: int) -> float:
    """The mean distance of hidden pixels from known ones, as a share of the face's side.

    Where means of square blocks are known, as far as half of the side of these at most; 1 where
    nothing is known.
    """
    if known.all():
        return 1 / len(known)
    distance = np.full(known.shape, len(known), float)
    if known.any():
        distance = distance_transform_edt(~known)
    if block:
        distance = np.minimum(distance, block / 2)
    return float(distance[~known].mean()) / len(known)


def load_normal(weights: Path, settings_file: Path, size: int) -> Normal:
    """Load a fitted normal. Raises FacefillError when the files are damaged or do not fit."""
    settings = load_settings(settings_file, ["components"])
    normal = Normal(size, settings["components"])
    load(weights, settings, {"normal": normal})
    return normal
