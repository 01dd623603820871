"""The network that predicts z, and changes of a feature map, from what is known of a face."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from facefill.core.tensors import initialise
from facefill.models.dcgan.networks import FIRST_SIDE, feature_channels, feature_sides
from facefill.train.team import BatchNorm


class Encoder(nn.Module):
    """Observed faces and what is known of them -> z, and changes of G's feature map.

    Strided convolutions halve the side and double the channels from `filters` on, down to 4 x 4
    pixels, from which a linear layer makes z. With `features`, the side of one of G's feature
    maps, transposed convolutions go back up to it, joined at every side with the map from the way
    down (a U-Net, Ronneberger et al. 2015), and end in the changes of that map
    (`Generator.forward`). Before training these are 0, which leaves G's map unchanged.
    """

    def __init__(
        self, size: int, filters: int, z_dim: int, prior: str, features: int, generator_filters: int
    ):
        super().__init__()
        sides = feature_sides(size)[::-1]  # size / 2 .. 4
        widths = [filters * size // (2 * side) for side in sides]
        self.down = nn.ModuleList(
            _layer(nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), wide)
            for narrow, wide in itertools.pairwise([4, *widths])
        )
        z = nn.Linear(widths[-1] * FIRST_SIDE**2, z_dim)
        # tanh keeps predictions within the cube of a uniform prior.
        self.z = nn.Sequential(nn.Flatten(), z, nn.Tanh() if prior == "uniform" else nn.Identity())
        self.up, self.join, self.changes = nn.ModuleList(), nn.ModuleList(), None
        if features:
            way = widths[sides.index(features) :][::-1]  # from side 4 up to `features`
            for wide, narrow in itertools.pairwise(way):
                self.up.append(
                    _layer(nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), narrow)
                )
                self.join.append(_layer(nn.Conv2d(2 * narrow, narrow, 3, 1, 1, bias=False), narrow))
            channels = feature_channels(size, generator_filters, features)
            self.changes = nn.Conv2d(way[-1], channels, 3, 1, 1)
        self.apply(initialise)
        if features:
            nn.init.zeros_(self.changes.weight)

    def forward(self, observed: Tensor, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict (z [N, z_dim], changes [N, channels, features, features] or None).

        `observed` and `known` are what facefill.core.observed makes of faces.
        """
        maps, features = [], torch.cat([observed, known], 1)
        for layer in self.down:
            features = layer(features)
            maps.append(features)
        z = self.z(features)
        if self.changes is None:
            return z, None
        for up, join, skipped in zip(self.up, self.join, maps[-2::-1], strict=False):
            features = join(torch.cat([up(features), skipped], 1))
        return z, self.changes(features)


def _layer(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, BatchNorm(channels), nn.LeakyReLU(0.2))


def make_encoder(settings: dict[str, Any], generator: dict[str, Any], size: int) -> Encoder:
    """The untrained network of an encoder; `settings` are its own, `generator` its generator's."""
    z_dim, prior, filters = (generator[key] for key in ("z_dim", "prior", "generator_filters"))
    return Encoder(size, settings["filters"], z_dim, prior, settings["features"], filters)
