"""The two networks of a DCGAN (Radford et al. 2016), for faces of any power-of-two size."""

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from facefill.core.tensors import initialise
from facefill.models.dcgan.residual import (
    Deviations,
    ResidualBlock,
    enlarged,
    initialise_residual,
    reduced,
)
from facefill.train.team import BatchNorm

FIRST_SIDE = 4  # of G's first feature map and D's last
COLOUR_PASSES = 2  # of Antialias: about a Gaussian of 1 pixel's deviation


class Generator(nn.Module):
    """z [N, z_dim] -> faces [N, 3, size, size] in [-1, 1].

    A linear layer makes 4 x 4 pixels, every transposed convolution doubles the side and halves
    the channels down to `filters`, the last one makes RGB. With `antialias` a low-pass filter
    follows that one: transposed convolutions leave a checkerboard (Odena et al. 2016) and fringes
    of colour, of which a short training never gets rid.

    With `blocks` "residual" there is a residual block at every side in place of BatchNorm and
    ReLU, and bilinear resampling in between; RGB is made alike.

    `changes` [N, channels(side), side, side], where given, are added to the feature map of that
    side, before its ReLU or after its block, in units of each channel's standard deviation:
    BatchNorm has made that its weight, beside residual blocks `Deviations` measures it. With them
    a face can be reached that no z has.
    """

    def __init__(
        self,
        size: int,
        z_dim: int,
        filters: int,
        kernel: int,
        antialias: bool,
        blocks: str = "plain",
    ):
        super().__init__()
        sides = feature_sides(size)
        channels = [feature_channels(size, filters, side) for side in sides]
        self.project = nn.Linear(z_dim, channels[0] * FIRST_SIDE**2, bias=False)
        residual = blocks == "residual"
        layers: list[nn.Module] = _hidden(channels[0], residual)
        for wide, narrow in itertools.pairwise(channels):
            layers += (
                enlarged(wide, narrow) if residual else [_up(wide, narrow, kernel, bias=False)]
            )
            layers += _hidden(narrow, residual)
        layers.append(_up(channels[-1], 3, kernel, bias=True))
        layers += [Antialias(size), nn.Tanh()] if antialias else [nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(initialise_residual if residual else initialise)

    def forward(self, z: Tensor, changes: Tensor | None = None) -> Tensor:
        features = self.project(z).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        if changes is None:
            return self.layers(features)
        for layer in self.layers:
            features = layer(features)
            if isinstance(layer, nn.BatchNorm2d) and features.shape[-1] == changes.shape[-1]:
                unit = layer.weight.abs() if layer.affine else layer.running_var.sqrt()
                features = features + changes * unit[:, None, None]
        return features


class Antialias(nn.Module):
    """A low-pass filter for RGB [N, 3, size, size]: of brightness narrow, of colour wide.

    Brightness is filtered once by (1, 2, 1) / 4 in both directions, which removes what alternates
    by pixel (Karras et al. 2019, appendix C), its differences from R, G and B COLOUR_PASSES times:
    colour is smooth in photographs, which JPEG and video store with fewer pixels. Borders are
    repeated. The result is float32: bfloat16 has fewer levels than a picture.
    """

    def __init__(self, size: int):
        super().__init__()
        once = torch.zeros(size, size)
        for offset, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
            rows = torch.arange(size)
            once[rows, (rows + offset).clamp(0, size - 1)] += weight
        # Matrices: their products are fast, and deterministic on a GPU, which padding is not.
        self.register_buffer("brightness", once, persistent=False)
        colour = torch.linalg.matrix_power(once, COLOUR_PASSES)
        self.register_buffer("colour", colour, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        with torch.autocast(values.device.type, enabled=False):
            values = values.float().contiguous()
            brightness = values.mean(1, keepdim=True)
            colour = self.colour @ (values - brightness) @ self.colour.T
            return colour + self.brightness @ brightness @ self.brightness.T


def feature_sides(size: int) -> list[int]:
    """The sides of a generator's feature maps, from 4 up to half of `size`."""
    return [FIRST_SIDE << step for step in range((size // FIRST_SIDE).bit_length() - 1)]


def feature_channels(size: int, filters: int, side: int) -> int:
    """The channels of a generator's feature map: `filters` in the last one, of half of `size`."""
    return filters * size // (2 * side)


class Discriminator(nn.Module):
    """Faces [N, 3, size, size] in [-1, 1] -> logits [N]; positive means real.

    Every convolution halves the side and doubles the channels from `filters` on, down to 4 x 4
    pixels; then a hidden layer of `fully_connected` units (0 = none) and the logit. With
    `spectral` every layer's weights have spectral norm 1 (Miyato et al. 2018), which takes the
    place of BatchNorm. With `blocks` "residual" there is a residual block at every side from half
    of `size` on, resampling in between and no normalisation.
    """

    def __init__(
        self,
        size: int,
        filters: int,
        kernel: int,
        fully_connected: int,
        spectral: bool,
        blocks: str = "plain",
    ):
        super().__init__()
        residual = blocks == "residual"
        channels = [filters << step for step in range(len(feature_sides(size)))]
        padding = (kernel - 1) // 2
        layers: list[nn.Module] = [nn.Conv2d(3, filters, kernel, 2, padding)]
        layers.append(ResidualBlock(filters) if residual else nn.LeakyReLU(0.2))
        for narrow, wide in itertools.pairwise(channels):
            if residual:
                layers += [*reduced(narrow, wide), ResidualBlock(wide)]
                continue
            layers.append(nn.Conv2d(narrow, wide, kernel, 2, padding, bias=spectral))
            layers += [nn.LeakyReLU(0.2)] if spectral else [BatchNorm(wide), nn.LeakyReLU(0.2)]
        layers.append(nn.Flatten())
        width = channels[-1] * FIRST_SIDE**2
        if fully_connected:
            layers += [nn.Linear(width, fully_connected), nn.LeakyReLU(0.2)]
            width = fully_connected
        layers.append(nn.Linear(width, 1))
        self.layers = nn.Sequential(*layers)
        self.apply(initialise_residual if residual else initialise)
        if spectral:
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)

    def forward(self, faces: Tensor) -> Tensor:
        return self.layers(faces).squeeze(1)

    def features(self, faces: Tensor) -> list[Tensor]:
        """What the hidden layers make of `faces`, from fine to coarse."""
        found, values = [], faces
        for layer in self.layers:
            values = layer(values)
            if isinstance(layer, nn.LeakyReLU | ResidualBlock):
                found.append(values)
        return found


def make_networks(settings: Mapping[str, Any], size: int) -> tuple[Generator, Discriminator]:
    """Untrained networks with the settings of a dcgan, for faces of `size` pixels.

    Settings of facefill 0.4 and earlier lack `blocks`; these models are plain.
    """
    blocks = settings.get("blocks", "plain")
    of_generator = ("z_dim", "generator_filters", "kernel", "antialias")
    of_discriminator = ("discriminator_filters", "kernel", "fully_connected", "spectral_norm")
    generator = Generator(size, *(settings[name] for name in of_generator), blocks)
    return generator, Discriminator(size, *(settings[name] for name in of_discriminator), blocks)


def _hidden(channels: int, residual: bool) -> list[nn.Module]:
    """What makes one of G's feature maps."""
    if residual:
        return [ResidualBlock(channels), Deviations(channels)]
    return [BatchNorm(channels), nn.ReLU()]


def _up(wide: int, narrow: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    """A transposed convolution that exactly doubles the side."""
    return nn.ConvTranspose2d(
        wide, narrow, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )
