"""A filter that takes away what hardly any photograph has: colour between single pixels.

Cameras and JPEG leave little; what true faces have of it is the rounding to 8 bits. Networks make
some, and draws that hold another photograph's rounding have twice as much once rounded.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.models.flow.grain import power_of

REACH = 5 / 64  # of the filter, as a share of the side
ROUNDING = 1 / 12 / 127.5**2  # variance of rounding to grey levels, in units of [-1, 1]
FLOOR = 2.0  # roundings: a power at which nothing but noise is left in most photographs
LEAST = 0.3  # amplitude that is left of it: faces without any colour noise are told, too


def none(size: int) -> Tensor:
    """The filter that leaves faces of `size` pixels as they are: float32 [3, 3, side, side]."""
    reach = round(REACH * size)
    return F.pad(torch.eye(3)[:, :, None, None], (reach,) * 4)


def cleaning_of(centred: Iterable[Tensor], size: int) -> Tensor:
    """Wiener's filter for faces minus their mean, [N, 3, size, size] each, with FLOOR of noise.

    It leaves LEAST of everything.
    """
    window = torch.hann_window(size, periodic=False)  # else the edges are taken for details
    window = window[:, None] * window
    power = power_of(part * window for part in centred) / window.square().mean()
    values, vectors = torch.linalg.eigh(power)
    kept = (values - FLOOR * ROUNDING).clamp(min=0) / values.clamp(min=1e-12)
    kept = LEAST + (1 - LEAST) * kept
    gain = (vectors * kept[..., None, :]) @ vectors.transpose(2, 3)
    kernel = torch.fft.irfft2(gain.permute(2, 3, 0, 1) + 0j, s=(size, size))
    steps = torch.arange(-round(REACH * size), round(REACH * size) + 1)
    kernel = kernel[:, :, steps[:, None], steps]
    # What was cut off is spread, so that even colours stay as they are.
    missing = torch.eye(3) - kernel.sum((2, 3))
    return (kernel + missing[:, :, None, None] / len(steps) ** 2).float()


def cleaned(faces: Tensor, by: Tensor) -> Tensor:
    """Faces, [N, 3, size, size], through a filter of `cleaning_of`."""
    return F.conv2d(F.pad(faces, (by.shape[2] // 2,) * 4, "reflect"), by.to(faces.device))
