"""Training faces in another light and place: variety that alignment does not take away."""

import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.models.flow.mps import capable
from facefill.train import team

LIGHT = (0.1, 0.05)  # standard deviations of contrast and of brightness, in units of [-1, 1]
SHIFT = 0.0125  # standard deviations: of the place, as a share of the side,
TURN = 0.025  # of the angle, in radians,
ZOOM = 0.015  # and of the size's logarithm
MOVED = 0.7  # share of faces that are moved; not all, since resampling blurs


def draw_light(count: int, random: torch.Generator) -> Tensor:
    """Light for `count` faces, [count, 2], on the device of `random`."""
    return _normal(random, count, 2) * torch.tensor(LIGHT, device=random.device)


def in_light(faces: Tensor, light: Tensor) -> Tensor:
    """Scale the contrast of faces, [N, 3, size, size], by 1 + light[:, 0]; add light[:, 1]."""
    contrast, brightness = light[:, :, None, None, None].unbind(1)
    return faces * (1 + contrast) + brightness


def move(faces: Tensor, random: torch.Generator) -> Tensor:
    """Shift, turn and scale most of `faces`, [N, 3, size, size] in [-1, 1], a little.

    Of a team, `faces` are a process's rows of the batch.
    """
    count, device = len(faces) * team.size(), random.device
    angle, zoom = TURN * _normal(random, count), (ZOOM * _normal(random, count)).exp()
    shift = 2 * SHIFT * _normal(random, count, 2)  # affine_grid's side is 2 long
    across, down = angle.cos() * zoom, angle.sin() * zoom
    rows = (across, -down, shift[:, 0], down, across, shift[:, 1])
    home = capable(faces.device)
    matrices = team.share(torch.stack(rows, 1)).view(-1, 2, 3).to(home)
    moved = F.grid_sample(
        faces.to(home),
        F.affine_grid(matrices, faces.shape, align_corners=False),
        "bicubic",
        padding_mode="reflection",
        align_corners=False,
    ).to(faces.device)
    chosen = team.share(torch.rand(count, generator=random, device=device) < MOVED)
    return torch.where(chosen[:, None, None, None].to(faces.device), moved.clamp(-1, 1), faces)


def _normal(random: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=random, device=random.device)
