"""Grain: noise like the residuals of faces, which their components leave.

It is stationary (a filter makes it of white noise) but for its deviation, which differs from pixel
to pixel. White noise has speckles of colour, which photographs do not have.
"""

import torch
from torch import Tensor

from facefill.models.flow.mps import capable

FACES = 1024  # whose residuals are measured
ROWS = 64  # faces at a time
FLOOR = 1e-3  # of deviations, in units of [-1, 1]: an eighth of a grey level


def white(size: int) -> Tensor:
    """The filter that leaves white noise as it is: float32 [size, size // 2 + 1, 3, 3]."""
    return torch.eye(3).expand(size, size // 2 + 1, 3, 3).clone()


def filter_of(residuals: Tensor, deviations: Tensor) -> Tensor:
    """The filter whose noise has the spectrum of `residuals`, [N, 3, s, s], in `deviations`.

    The side s is even. Of each frequency it is the root of the matrix of the channels' mean cross
    spectra. Phases between channels are left out. Where components leave nothing, noise is white.
    """
    total, size = 0, residuals.shape[2]
    for part in residuals.split(ROWS):
        waves = _waves(part / deviations.clamp(min=FLOOR))
        total = total + (waves @ waves.conj().transpose(2, 3)).real
    power = total.double().cpu() / len(residuals)
    twice = torch.full((size // 2 + 1,), 2.0)  # frequencies left out by a real transform
    twice[[0, -1]] = 1
    variance = (twice * power.diagonal(dim1=2, dim2=3).mean(2)).sum() / size**2
    if variance == 0:
        return white(size).to(residuals.device)
    power /= variance
    values, vectors = torch.linalg.eigh(power)
    root = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.transpose(2, 3)
    return root.float().to(residuals.device)


def filtered(noise: Tensor, by: Tensor) -> Tensor:
    """White noise, [N, 3, size, size], through a filter of `filter_of`."""
    home = capable(noise.device)
    waves = by.to(home, torch.complex64) @ _waves(noise.to(home))
    made = torch.fft.irfft2(waves.permute(3, 2, 0, 1), s=noise.shape[2:], norm="ortho")
    return made.to(noise.device)


def _waves(pictures: Tensor) -> Tensor:
    return torch.fft.rfft2(pictures, norm="ortho").permute(2, 3, 1, 0)  # [s, s // 2 + 1, 3, N]
