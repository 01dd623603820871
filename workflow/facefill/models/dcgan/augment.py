"""DiffAugment (Zhao et al. 2020): random differentiable changes of all faces that D gets.

Strengths are those of the paper's appendix; every face is changed by its own random numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from facefill.train import team

SHIFT = 0.125  # share of the side by which `translation` moves a face at most
CUT = 0.5  # side of the square that `cutout` makes grey, as a share of the face's
NUMBERS = 7  # random numbers per face


def augment(faces: Tensor, kinds: Sequence[str], random: torch.Generator) -> Tensor:
    """Apply the augmentations `kinds` in turn to `faces`, float [N, 3, size, size] in [-1, 1].

    `random` is on the CPU: every device gets the same numbers. Of a team, `faces` are a process's
    rows of the batch.
    """
    if not kinds:
        return faces
    drawn = torch.rand(len(faces) * team.size(), NUMBERS, generator=random)
    numbers = team.share(drawn).to(faces.device)
    for kind in kinds:
        faces = AUGMENTATIONS[kind](faces, numbers)
    return faces


def _color(faces: Tensor, numbers: Tensor) -> Tensor:
    """Brightness by -0.5 to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    brightness, saturation, contrast = numbers[:, :3, None, None, None].unbind(1)
    faces = faces + (brightness - 0.5)
    grey = faces.mean(1, keepdim=True)
    faces = grey + (faces - grey) * 2 * saturation
    level = faces.mean((1, 2, 3), keepdim=True)
    return level + (faces - level) * (contrast + 0.5)


def _translation(faces: Tensor, numbers: Tensor) -> Tensor:
    """Move by up to SHIFT in both directions; the rest becomes grey (0)."""
    size = faces.shape[-1]
    most = round(SHIFT * size)
    down, right = ((numbers[:, 3:5] * (2 * most + 1)).long() - most).clamp(-most, most).unbind(1)
    places = torch.arange(size, device=faces.device)
    rows, columns = places - down[:, None], places - right[:, None]  # [N, size]: where from
    inside = _within(rows, size)[:, None, :, None] & _within(columns, size)[:, None, None, :]
    face = torch.arange(len(faces), device=faces.device)[:, None, None]
    rows, columns = rows.clamp(0, size - 1)[:, :, None], columns.clamp(0, size - 1)[:, None, :]
    # A face's pixels last: indexing takes [N, size, size] of them at once.
    moved = faces.permute(0, 2, 3, 1)[face, rows, columns].permute(0, 3, 1, 2)
    return moved * inside


def _cutout(faces: Tensor, numbers: Tensor) -> Tensor:
    """Make a square of side CUT grey (0); its middle lies anywhere in the face."""
    size = faces.shape[-1]
    half = CUT * size / 2
    places = torch.arange(size, device=faces.device) + 0.5
    rows, columns = ((places - numbers[:, 5:7, None] * size).abs() < half).unbind(1)
    return faces * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)


AUGMENTATIONS = {"color": _color, "translation": _translation, "cutout": _cutout}
