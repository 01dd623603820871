"""The two networks of a DCGAN (Radford et al. 2016), for faces of any power-of-two size."""

import itertools

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    """z [N, z_dim] -> faces [N, 3, size, size] in [-1, 1].

    A linear layer makes 4 x 4 pixels, every transposed convolution doubles the side and halves
    the channels down to `filters`, the last one makes RGB.
    """

    def __init__(self, size: int, z_dim: int, filters: int, kernel: int):
        super().__init__()
        doublings = (size // 4).bit_length() - 1
        channels = [filters << step for step in reversed(range(doublings))]
        self.project = nn.Linear(z_dim, channels[0] * 16, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.ReLU()]
        for wide, narrow in itertools.pairwise(channels):
            layers += [_up(wide, narrow, kernel, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()]
        layers += [_up(channels[-1], 3, kernel, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(self.project(z).unflatten(1, (-1, 4, 4)))


class Discriminator(nn.Module):
    """Faces [N, 3, size, size] in [-1, 1] -> logits [N]; positive means real.

    Every convolution halves the side and doubles the channels from `filters` on, down to 4 x 4
    pixels; then a hidden layer of `fully_connected` units (0 = none) and the logit.
    """

    def __init__(self, size: int, filters: int, kernel: int, fully_connected: int):
        super().__init__()
        halvings = (size // 4).bit_length() - 1
        channels = [filters << step for step in range(halvings)]
        padding = (kernel - 1) // 2
        layers: list[nn.Module] = [nn.Conv2d(3, filters, kernel, 2, padding), nn.LeakyReLU(0.2)]
        for narrow, wide in itertools.pairwise(channels):
            layers += [
                nn.Conv2d(narrow, wide, kernel, 2, padding, bias=False),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Flatten())
        width = channels[-1] * 16
        if fully_connected:
            layers += [nn.Linear(width, fully_connected), nn.LeakyReLU(0.2)]
            width = fully_connected
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, faces: Tensor) -> Tensor:
        return self.layers(faces).squeeze(1)


def _up(wide: int, narrow: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    """A transposed convolution that exactly doubles the side."""
    return nn.ConvTranspose2d(
        wide, narrow, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )


def _initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), as Radford et al. (section 4) do."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def sample_z(count: int, z_dim: int, prior: str, random: torch.Generator) -> Tensor:
    """Draw z from the prior: float32 [count, z_dim] on the CPU, the same on every device."""
    if prior == "uniform":
        return torch.rand(count, z_dim, generator=random) * 2 - 1
    return torch.randn(count, z_dim, generator=random)


def to_unit(faces: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return faces.float().div_(127.5).sub_(1)


def from_unit(faces: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8 0..255, rounded."""
    return faces.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
