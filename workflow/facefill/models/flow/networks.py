"""The network of a flow: a U-Net (Ronneberger et al. 2015) on blocks of pixels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facefill.models.flow import SIDES
from facefill.train import team

FREQUENCIES = 8  # sines and cosines of time
TIME = 64  # features of time
MARGIN = 0.15  # typical distance of a face from its guess, in units of [-1, 1]


class FlowNetwork(nn.Module):
    """Expected ends of paths, and what is known of the faces -> expected slopes (path.py).

    Blocks of `patch` x `patch` pixels become channels, so that no convolution runs at the full
    side. Nothing is normalised and every block starts as the identity: beside the slopes a
    batch's statistics are noise. `dropout` is the share of values that is dropped while training,
    on all maps but the largest.
    """

    def __init__(self, size: int, width: int, blocks: int, patch: int, dropout: float = 0.0):
        super().__init__()
        self.patch, side = patch, size // patch
        wide = [width << step for step in range(SIDES)]
        # The training faces'; saved with the guess.
        self.register_buffer("mean", torch.zeros(3, size, size), persistent=False)
        self.register_buffer("frequencies", 2.0 ** torch.arange(FREQUENCIES) * math.pi / 4)
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, TIME), nn.SiLU(), nn.Linear(TIME, TIME), nn.SiLU()
        )
        self.first = nn.Conv2d((3 + 1 + 3 + 3 + 3 + 1) * patch**2, width, 3, padding=1)
        # Faces are aligned, so that what a pixel shows depends on its place.
        self.places = nn.ParameterList(
            torch.zeros(1, channels, side >> step, side >> step)
            for step, channels in enumerate(wide)
        )

        def row(channels: int) -> nn.ModuleList:
            share = dropout if channels > width else 0.0
            return nn.ModuleList(Residual(channels, share) for _ in range(blocks))

        self.down = nn.ModuleList(row(channels) for channels in wide)
        self.up = nn.ModuleList(row(channels) for channels in wide)
        self.narrower = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, 2) for c in wide[:-1])
        self.wider = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, 2) for c in wide[:-1])
        self.last = _zero(nn.Conv2d(width, 3 * patch**2, 3, padding=1))

    def forward(
        self, observed: Tensor, known: Tensor, ends: Tensor, further: Tensor, time: Tensor
    ) -> Tensor:
        """Return expected slopes, [N, 3, size, size], for faces in [-1, 1].

        `observed` and `known` are what facefill.core.observed makes of faces, `ends` are the
        faces where a normal expects the paths to end, `further` is how far these are from the
        guess, and `time`, [N], is that of path.py.
        """
        angles = time[:, None] * self.frequencies
        features = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        centred = torch.where(known > 0, observed - self.mean, 0.0)
        given = torch.cat([centred, known], 1)
        # Beside its mirror image: faces are nearly symmetric, and one half tells of the other.
        inputs = torch.cat([given, ends - self.mean, further / MARGIN, given.flip(3)], 1)
        maps, x = [], self.first(F.pixel_unshuffle(inputs, self.patch))
        for step, blocks in enumerate(self.down):
            x = (self.narrower[step - 1](x) if step else x) + self.places[step]
            for block in blocks:
                x = block(x, features)
            maps.append(x)
        for step in reversed(range(SIDES)):
            x = maps[step] + self.wider[step](x) if step < SIDES - 1 else x
            for block in self.up[step]:
                x = block(x, features)
        return MARGIN * F.pixel_shuffle(self.last(F.silu(x)).float(), self.patch)


class Residual(nn.Module):
    """Two convolutions beside the identity; time scales and shifts the channels between them."""

    def __init__(self, channels: int, dropout: float):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = _zero(nn.Conv2d(channels, channels, 3, padding=1))
        self.time = _zero(nn.Linear(TIME, 2 * channels))
        self.dropout = dropout
        nn.init.kaiming_normal_(self.first.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        changed = F.silu(self.first(F.silu(x)) * (1 + scale) + shift)
        return x + self.second(team.dropout(changed, self.dropout, self.training))


def _zero(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Start with zeros: a layer that changes nothing yet."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
