"""The network of a flow: a U-Net (Ronneberger et al. 2015) on blocks of pixels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREQUENCIES = 8  # sines and cosines of time
TIME = 64  # features of time
SIDES = 3  # maps of side size / patch, and a half and a quarter of it
MARGIN = 0.15  # typical error of a guess, in units of [-1, 1]


class FlowNetwork(nn.Module):
    """What is known of faces, faces on their way, and an estimate of them -> a better one.

    Blocks of `patch` x `patch` pixels become channels, so that no convolution runs at the full
    side. The U-Net, which does not see the estimate, makes faces of its own from what is known:
    that is a task with strong gradients, and its features serve the second, weak one, the
    difference between the true face and the estimate. A small head makes this from the features,
    the estimate and the U-Net's face.
    """

    def __init__(self, size: int, width: int, blocks: int, patch: int):
        super().__init__()
        self.patch, side = patch, size // patch
        wide = [width << step for step in range(SIDES)]
        self.register_buffer("mean", torch.zeros(3, size, size))  # the training faces'
        self.register_buffer("frequencies", 2.0 ** torch.arange(FREQUENCIES) * math.pi / 4)
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, TIME), nn.SiLU(), nn.Linear(TIME, TIME), nn.SiLU()
        )
        self.first = nn.Conv2d((3 + 1 + 3) * patch**2, width, 3, padding=1)
        # Faces are aligned, so that what a pixel shows depends on its place.
        self.places = nn.ParameterList(
            torch.zeros(1, channels, side >> step, side >> step)
            for step, channels in enumerate(wide)
        )

        def row(channels: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(Residual(channels) for _ in range(count))

        self.down = nn.ModuleList(row(channels, blocks) for channels in wide)
        self.up = nn.ModuleList(row(channels, blocks) for channels in wide)
        self.narrower = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, 2) for c in wide[:-1])
        self.wider = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, 2) for c in wide[:-1])
        self.face = _zero(nn.Conv2d(width, 3 * patch**2, 3, padding=1))
        self.join = nn.Conv2d(width + 3 * 3 * patch**2, width, 3, padding=1)
        self.head = Residual(width)
        self.last = _zero(nn.Conv2d(width, 6 * patch**2, 3, padding=1))

    def forward(
        self, observed: Tensor, known: Tensor, faces: Tensor, estimate: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return faces of the U-Net's own, and what is to be added to the estimate.

        Each is [N, 3, size, size], faces in [-1, 1]. `observed` and `known` are what
        facefill.core.observed makes of faces, `faces` are those on their way and `time`, [N] from
        0 to 1, is how far they are: at 0 they count for nothing.
        """
        angles = time[:, None] * self.frequencies
        features = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        centred = torch.where(known > 0, observed - self.mean, 0.0)
        moving = faces * time[:, None, None, None]
        inputs = F.pixel_unshuffle(torch.cat([centred, known, moving], 1), self.patch)
        maps, x = [], self.first(inputs)
        for step, blocks in enumerate(self.down):
            x = (self.narrower[step - 1](x) if step else x) + self.places[step]
            for block in blocks:
                x = block(x, features)
            maps.append(x)
        for step in reversed(range(SIDES)):
            x = maps[step] + self.wider[step](x) if step < SIDES - 1 else x
            for block in self.up[step]:
                x = block(x, features)
        own = self.mean + F.pixel_shuffle(self.face(F.relu(x)).float(), self.patch)
        difference = own - estimate
        beside = torch.cat([difference / MARGIN, observed, estimate], 1)
        x = self.join(torch.cat([x, F.pixel_unshuffle(beside, self.patch)], 1))
        x = self.last(F.relu(self.head(x, features))).float()
        share, change = F.pixel_shuffle(x, self.patch).chunk(2, 1)
        return own, torch.sigmoid(share - 3) * difference + MARGIN * change


class Residual(nn.Module):
    """Two convolutions beside the identity; time scales and shifts the channels between them."""

    def __init__(self, channels: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.time = _zero(nn.Linear(TIME, 2 * channels))
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.kaiming_normal_(self.second.weight)
        with torch.no_grad():
            self.second.weight.mul_(0.3)  # so that many blocks in a row start near the identity

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[:, :, None, None].chunk(2, 1)
        hidden = self.norms[1](self.first(F.relu(self.norms[0](x))))
        return x + self.second(F.relu(hidden * (1 + scale) + shift))


def _zero(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Start with zeros: a network that changes nothing yet."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
