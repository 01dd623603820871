"""Residual blocks without normalisation, as R3GAN's (Huang et al. 2024, section 3)."""

import torch
from torch import Tensor, nn

from facefill.core.tensors import initialise
from facefill.train.team import BatchNorm

SLOPE = 0.2  # of the leaky ReLUs


class ResidualBlock(nn.Module):
    """A feature map [N, channels, side, side] plus what three convolutions make of it.

    They see 1, 3 x 3 and 1 pixels. Before training the last one is 0, so that the block changes
    nothing: that takes the place of normalisation (Zhang et al. 2019, Fixup).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, 1, 1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 1, bias=False),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


class Deviations(BatchNorm):
    """Passes a feature map on unchanged, and knows each channel's standard deviation.

    It keeps BatchNorm's statistics, so that these are measured where BatchNorm's are.
    """

    def __init__(self, channels: int):
        super().__init__(channels, affine=False)

    def forward(self, features: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                super().forward(features)
        return features


def enlarged(wide: int, narrow: int) -> list[nn.Module]:
    """Layers that double the side: channels first, which is cheaper, then bilinear resampling."""
    resampled = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return [nn.Conv2d(wide, narrow, 1, bias=False), resampled]


def reduced(narrow: int, wide: int) -> list[nn.Module]:
    """Layers that halve the side: the mean of 2 x 2 pixels (bilinear resampling), then channels."""
    return [nn.AvgPool2d(2), nn.Conv2d(narrow, wide, 1, bias=False)]


def initialise_residual(module: nn.Module) -> None:
    """Draw weights that keep a map's variance (He et al. 2015), and end blocks with 0.

    What makes RGB, a transposed convolution, gets small weights as in other networks: tanh must
    not saturate.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock):  # after its layers
        first, _, second, _, last = module.layers
        for layer in (first, second):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
        nn.init.zeros_(last.weight)
    elif isinstance(module, nn.ConvTranspose2d):
        initialise(module)
