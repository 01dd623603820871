"""Grain: noise like the residuals of faces, which their components leave.

It is stationary (a filter makes it of white noise) but for its deviation, which differs from pixel
to pixel. White noise has speckles of colour, which photographs do not have.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from facefill.models.flow.mps import capable

FACES = 1024  # whose residuals are measured
ROWS = 64  # faces at a time
REACH = 4 / 64  # Gaussian by which correlations are tapered: its deviation as a share of the side
END = 3  # deviations of that Gaussian at which correlations end
FLOOR = 1e-3  # of deviations, in units of [-1, 1]: an eighth of a grey level


def white(size: int) -> Tensor:
    """The filter that leaves white noise as it is: float32 [size, size // 2 + 1, 3, 3]."""
    return torch.eye(3).expand(size, size // 2 + 1, 3, 3).clone()


def filter_of(residuals: Iterable[Tensor], deviations: Tensor) -> Tensor:
    """The filter whose noise is correlated like `residuals`, [N, 3, s, s] each, in `deviations`.

    The side s is even. Of each frequency it is the root of the matrix of the channels' mean cross
    spectra. Phases between channels are left out. Correlations are tapered with the distance:
    residuals of far pixels are correlated by place, not by distance alone, which misleads
    kriging.py. Where components leave nothing, noise is white.
    """
    size = deviations.shape[2]
    power = power_of(part / deviations.clamp(min=FLOOR) for part in residuals)
    twice = torch.full((size // 2 + 1,), 2.0)  # frequencies left out by a real transform
    twice[[0, -1]] = 1
    variance = (twice * power.diagonal(dim1=2, dim2=3).mean(2)).sum() / size**2
    if variance == 0:
        return white(size)
    power = _tapered(power / variance, size)
    values, vectors = torch.linalg.eigh(power)
    root = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.transpose(2, 3)
    return root.float()


def power_of(pictures: Iterable[Tensor]) -> Tensor:
    """Mean cross spectra of the channels of pictures, [N, 3, s, s] each: [s, s // 2 + 1, 3, 3]."""
    total: Tensor | float = 0.0
    count = 0
    for part in pictures:
        waves = torch.fft.rfft2(part, norm="ortho").permute(2, 3, 1, 0)
        total = total + (waves @ waves.conj().transpose(2, 3)).real.double()
        count += len(part)
    return total / count


def filtered(pictures: Tensor, by: Tensor) -> Tensor:
    """Pictures, [N, 3, size, size], through a real filter, [size, size // 2 + 1, 3, 3]."""
    home = capable(pictures.device)
    waves, by = torch.fft.rfft2(pictures.to(home), norm="ortho"), by.to(home).permute(2, 3, 0, 1)
    # Sums of products over whole maps: six times as fast as products of small matrices.
    mixed = [sum(weight * waves[:, n] for n, weight in enumerate(row)) for row in by.contiguous()]
    made = torch.fft.irfft2(torch.stack(mixed, 1), s=pictures.shape[2:], norm="ortho")
    return made.to(pictures.device)


def widened(power: Tensor) -> Tensor:
    """A power, [s, s // 2 + 1, 3, 3], on a grid that is larger by the reach of its correlations.

    Opposite edges of a picture that is padded to that grid have nothing to do with each other.
    """
    size = power.shape[0]
    reach = math.ceil(END * REACH * size)
    home = capable(power.device)
    near = torch.fft.irfft2(power.to(home).permute(2, 3, 0, 1) + 0j, s=(size, size))
    steps = torch.arange(-reach, reach + 1, device=home)
    wide = near.new_zeros(3, 3, size + reach, size + reach)
    wide[:, :, steps[:, None], steps] = near[:, :, steps[:, None], steps]
    return torch.fft.rfft2(wide).real.permute(2, 3, 0, 1).to(power.device)


def _tapered(power: Tensor, size: int) -> Tensor:
    """The power, [s, s // 2 + 1, 3, 3], of correlations that a Gaussian tapers with distance."""
    correlations = torch.fft.irfft2(power.permute(2, 3, 0, 1) + 0j, s=(size, size))
    steps = torch.arange(size, dtype=power.dtype)
    weight = torch.exp(-(torch.minimum(steps, size - steps) / (REACH * size)).square() / 2)
    waves = torch.fft.rfft2(correlations * weight[:, None] * weight).real
    return waves.permute(2, 3, 0, 1)
