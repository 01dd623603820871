"""DiffAugment: what D sees, real or not, is changed alike and differentiably (Zhao et al. 2020).

Strengths are those of the paper's appendix; every face gets draws of its own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

SHIFT = 0.125  # share of the side by which `translation` moves a face at most
CUT = 0.5  # side of the square that `cutout` makes grey, as a share of the face's
DRAWS = 7  # random numbers per face


def augment(faces: Tensor, kinds: Sequence[str], random: torch.Generator) -> Tensor:
    """Change `faces`, float [N, 3, size, size] in [-1, 1], in the ways `kinds`.

    `random` is a generator of the CPU, so that a device changes nothing about the draws.
    """
    if not kinds:
        return faces
    draws = torch.rand(len(faces), DRAWS, generator=random).to(faces.device)
    for kind in kinds:
        faces = AUGMENTATIONS[kind](faces, draws)
    return faces


def _color(faces: Tensor, draws: Tensor) -> Tensor:
    """Brightness by -0.5 to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    brightness, saturation, contrast = draws[:, :3, None, None, None].unbind(1)
    faces = faces + (brightness - 0.5)
    grey = faces.mean(1, keepdim=True)
    faces = grey + (faces - grey) * 2 * saturation
    level = faces.mean((1, 2, 3), keepdim=True)
    return level + (faces - level) * (contrast + 0.5)


def _translation(faces: Tensor, draws: Tensor) -> Tensor:
    """Move by up to SHIFT in both directions; what comes in is grey (0)."""
    size = faces.shape[-1]
    most = round(SHIFT * size)
    down, right = ((draws[:, 3:5] * (2 * most + 1)).long() - most).clamp(-most, most).unbind(1)
    places = torch.arange(size, device=faces.device)
    rows, columns = places - down[:, None], places - right[:, None]  # [N, size]: where from
    inside = _within(rows, size)[:, None, :, None] & _within(columns, size)[:, None, None, :]
    one = torch.arange(len(faces), device=faces.device)[:, None, None]
    rows, columns = rows.clamp(0, size - 1)[:, :, None], columns.clamp(0, size - 1)[:, None, :]
    # A face's pixels last: indexing takes [N, size, size] of them at once.
    moved = faces.permute(0, 2, 3, 1)[one, rows, columns].permute(0, 3, 1, 2)
    return moved * inside


def _cutout(faces: Tensor, draws: Tensor) -> Tensor:
    """Make a square of side CUT grey (0); its middle may lie anywhere in the face."""
    size = faces.shape[-1]
    half = CUT * size / 2
    places = torch.arange(size, device=faces.device) + 0.5
    rows, columns = ((places - draws[:, 5:7, None] * size).abs() < half).unbind(1)
    return faces * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)


AUGMENTATIONS = {"color": _color, "translation": _translation, "cutout": _cutout}
