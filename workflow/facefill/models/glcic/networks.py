"""The networks of globally and locally consistent completion (GLCIC, Iizuka et al. 2017)."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from facefill.models.dcgan.networks import FIRST_SIDE
from facefill.train.team import BatchNorm

DILATIONS = (2, 4, 8, 16)
# Of a convolution of the discriminators, and of their hidden layers, at a width of 1.
WIDEST, FULLY_CONNECTED = 512, 1024


class CompletionNetwork(nn.Module):
    """Observed faces and what is known of them -> whole faces (Iizuka et al. 2017, table 1).

    Seventeen layers: down to a quarter of the side, four dilated convolutions among others there,
    and up again; BatchNorm and ReLU behind each but the last. `width` multiplies the published
    channels (64, 128, 256, ...).

    The published network works at 256 pixels, where its dilations of 2, 4, 8 and 16 meet a map of
    side 64. At half the map's side a pixel still finds one of two opposite taps on the map; at the
    whole side all but the middle one would read zeros, at full cost. So no dilation is larger than
    half: 2, 4, 8, 16 from 128 pixels on, 2, 4, 8, 8 at 64 and 2, 4, 4, 4 at 32.

    tanh takes the place of the published sigmoid: faces are in [-1, 1] here.
    """

    def __init__(self, size: int, width: float):
        super().__init__()
        wide = {channels: scaled(channels, width) for channels in (32, 64, 128, 256)}
        inner = wide[256]

        def same(dilation: int = 1) -> nn.Module:
            return _layer(nn.Conv2d(inner, inner, 3, 1, dilation, dilation=dilation, bias=False))

        layers = [
            _layer(nn.Conv2d(4, wide[64], 5, 1, 2, bias=False)),
            _layer(nn.Conv2d(wide[64], wide[128], 3, 2, 1, bias=False)),
            _layer(nn.Conv2d(wide[128], wide[128], 3, 1, 1, bias=False)),
            _layer(nn.Conv2d(wide[128], inner, 3, 2, 1, bias=False)),
            *map(same, [1, 1, *dilations(size), 1, 1]),
            _layer(nn.ConvTranspose2d(inner, wide[128], 4, 2, 1, bias=False)),
            _layer(nn.Conv2d(wide[128], wide[128], 3, 1, 1, bias=False)),
            _layer(nn.ConvTranspose2d(wide[128], wide[64], 4, 2, 1, bias=False)),
            _layer(nn.Conv2d(wide[64], wide[32], 3, 1, 1, bias=False)),
            nn.Sequential(nn.Conv2d(wide[32], 3, 3, 1, 1), nn.Tanh()),
        ]
        self.layers = nn.Sequential(*layers)
        self.register_buffer("mean_colour", torch.zeros(3, 1, 1))
        self.apply(_initialise)

    def forward(self, observed: Tensor, known: Tensor) -> Tensor:
        """Faces [N, 3, size, size] in [-1, 1], right in the hole only.

        `observed` and `known` are what facefill.core.observed makes of faces; where nothing is
        known, the training set's `mean_colour` is filled in.
        """
        filled = torch.where(known > 0, observed, self.mean_colour)
        return self.layers(torch.cat([filled, known], 1))


def dilations(size: int) -> list[int]:
    """The dilations of a completion network for faces of `size` pixels."""
    return [min(dilation, size // 8) for dilation in DILATIONS]


def scaled(channels: int, width: float) -> int:
    """The published number of channels times `width`, in whole eights: kernels want those."""
    return max(8, 8 * round(channels * width / 8))


def _layer(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    return nn.Sequential(convolution, BatchNorm(convolution.out_channels), nn.ReLU(True))


class Discriminators(nn.Module):
    """Faces and where their holes are -> logits [N]; positive means real (Iizuka et al., table 2).

    The global discriminator sees the whole face, the local one a patch of half the side around the
    hole. Each is a row of convolutions of 5x5 and stride 2 from 64 channels on, doubled up to 512,
    down to 4 x 4 pixels, and a layer of 1024 units; one more makes the logit of both together.
    `width` multiplies all these numbers. Without `local` the global one judges alone, as in a
    context encoder (Pathak et al. 2016). With `spectral` every layer's weights have spectral
    norm 1 (Miyato et al. 2018), which takes the place of BatchNorm.
    """

    def __init__(self, size: int, width: float, local: bool, spectral: bool):
        super().__init__()
        self.patch = size // 2
        self.whole = _features(size, width, spectral)
        self.local = _features(self.patch, width, spectral) if local else None
        units = scaled(FULLY_CONNECTED, width)
        self.logit = nn.Linear(2 * units if local else units, 1)
        self.apply(_initialise)
        if spectral:
            for module in list(self.modules()):
                if isinstance(module, nn.Conv2d | nn.Linear):
                    spectral_norm(module)

    def forward(self, faces: Tensor, corners: Tensor) -> Tensor:
        """`faces` are [N, 3, size, size] in [-1, 1], `corners` long [N, 2] (`patch_corners`)."""
        features = self.whole(faces)
        if self.local is not None:
            patches = self.local(patches_at(faces, corners, self.patch))
            features = torch.cat([features, patches], 1)
        return self.logit(features).squeeze(1)


def _features(size: int, width: float, spectral: bool) -> nn.Sequential:
    """Faces or patches of `size` pixels -> features [N, scaled(1024, width)]."""
    layers: list[nn.Module] = []
    channels = [3]
    for step in range((size // FIRST_SIDE).bit_length() - 1):
        channels.append(scaled(min(64 << step, WIDEST), width))
    for narrow, wide in itertools.pairwise(channels):
        layers.append(nn.Conv2d(narrow, wide, 5, 2, 2, bias=spectral))
        layers += [] if spectral else [BatchNorm(wide)]
        layers.append(nn.LeakyReLU(0.2, True))
    units = scaled(FULLY_CONNECTED, width)
    layers += [nn.Flatten(), nn.Linear(channels[-1] * FIRST_SIDE**2, units)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.2, True))


def patch_corners(known: Tensor) -> Tensor:
    """The upper left corners of the patches that the local discriminator sees: long [N, 2].

    `known` is bool [N, 1, size, size]. A patch of half the side lies around the middle of the
    hidden pixels (their mean place), moved so far that it stays within the face. Of a box that is
    its own middle; a mask without one compact hole (random, grid, lowres) hides pixels
    everywhere, whose middle is about the face's.
    """
    size = known.shape[-1]
    hidden = (~known[:, 0]).float()
    counts = hidden.sum((1, 2)).clamp(min=1)
    places = torch.arange(size, device=known.device) + 0.5
    middles = torch.stack([(hidden.sum(2) @ places), (hidden.sum(1) @ places)], 1)
    corners = (middles / counts[:, None] - size / 4).round().long()
    return corners.clamp(0, size - size // 2)


def patches_at(faces: Tensor, corners: Tensor, side: int) -> Tensor:
    """Square patches of `faces` [N, C, size, size] from their `corners` on: [N, C, side, side]."""
    cut = [
        face[:, top : top + side, left : left + side]
        for face, (top, left) in zip(faces, corners.tolist(), strict=True)
    ]
    return torch.stack(cut).contiguous(memory_format=_layout(faces))


def _layout(faces: Tensor) -> torch.memory_format:
    channels_last = faces.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def _initialise(module: nn.Module) -> None:
    """He et al. 2015: seventeen layers of ReLU keep their scale, also where none normalises."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0.2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
