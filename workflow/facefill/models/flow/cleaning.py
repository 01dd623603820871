"""A filter that takes away what no photograph has: colour between single pixels.

Cameras and JPEG leave hardly any; what true faces have of it is the rounding to 8 bits. Networks
make some, and draws that hold another photograph's rounding have twice as much once rounded.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 11  # of the filter
ROUNDING = 1 / 12 / 127.5**2  # variance of rounding to grey levels, in units of [-1, 1]
FLOOR = 2.0  # roundings: a power at which nothing but noise is left in most photographs


def none() -> Tensor:
    """The filter that leaves pictures as they are: float32 [3, 3, SIDE, SIDE]."""
    kernel = torch.zeros(3, 3, SIDE, SIDE)
    kernel[:, :, SIDE // 2, SIDE // 2] = torch.eye(3)
    return kernel


def cleaning_of(centred: Tensor) -> Tensor:
    """Wiener's filter for faces minus their mean, [N, 3, s, s], that have FLOOR of noise."""
    size, count = centred.shape[2], 0
    window = torch.hann_window(size, periodic=False)  # else the edges are taken for details
    window = window[:, None] * window
    power: Tensor | float = 0.0
    for part in centred.split(64):
        waves = torch.fft.rfft2(part * window, norm="ortho").permute(2, 3, 1, 0)
        power, count = (
            power + (waves @ waves.conj().transpose(2, 3)).real.double(),
            count + len(part),
        )
    values, vectors = torch.linalg.eigh(power / count / window.square().mean())
    kept = (values - FLOOR * ROUNDING).clamp(min=0) / values.clamp(min=1e-12)
    gain = (vectors * kept[..., None, :]) @ vectors.transpose(2, 3)
    kernel = torch.fft.irfft2(gain.permute(2, 3, 0, 1) + 0j, s=(size, size))
    middle, reach = size // 2, SIDE // 2
    kernel = kernel.roll((middle, middle), (2, 3))
    kernel = kernel[:, :, middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    # Of what was cut off, the centre gets back what even colours need to stay as they are.
    kernel = kernel.clone()
    kernel[:, :, reach, reach] += torch.eye(3) - kernel.sum((2, 3))
    return kernel.float()


def cleaned(faces: Tensor, by: Tensor) -> Tensor:
    """Faces, [N, 3, size, size], through a filter of `cleaning_of`."""
    reach = SIDE // 2
    return F.conv2d(F.pad(faces, (reach,) * 4, "reflect"), by.to(faces.device))
