"""The holes that a flow is trained on: a few forms of each mask, whose covariances are kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facefill.core.masking import make_masks
from facefill.models.flow.guess import Seen, see

FORMS = 32  # of masks that differ from face to face


class Forms:
    """Some masks, FORMS forms of each that has so many. A hole is the number of a form."""

    def __init__(
        self, masks: Sequence[dict[str, Any]], size: int, zoom: float, device: torch.device
    ):
        names = list(map(str, range(FORMS)))
        self.every: list[tuple[np.ndarray, int]] = []  # known and the side of blocks of each form
        self.of_mask: list[Tensor] = []  # the numbers of a mask's forms
        for settings in masks:
            made = make_masks(settings, names, size, zoom)
            known = list({mask.tobytes(): mask for mask in made.known}.values())
            self.of_mask.append(torch.arange(len(known)) + len(self.every))
            self.every += [(mask, made.block) for mask in known]
        self._first = torch.stack([part[0] for part in self.of_mask])
        self._counts = torch.tensor([len(part) for part in self.of_mask])
        stacked = np.stack([mask for mask, _ in self.every])
        self.known = torch.from_numpy(stacked)[:, None].to(device)
        self.blocks = torch.tensor([block for _, block in self.every])
        self.mask_of = torch.cat([torch.full_like(part, n) for n, part in enumerate(self.of_mask)])

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Forms for `count` faces, every mask as likely: long [count]."""
        masks = torch.randint(len(self.of_mask), (count,), generator=random)
        numbers = torch.randint(FORMS, (count,), generator=random)
        return self._first[masks] + numbers % self._counts[masks]

    def regular(self, mask: int, count: int) -> Tensor:
        """The forms of one mask for the same `count` faces each time, in turn."""
        return self.of_mask[mask][torch.arange(count) % len(self.of_mask[mask])]

    def see(self, faces: Tensor, forms: Tensor) -> Seen:
        """What is known of `faces`, [N, 3, size, size] in [-1, 1], under `forms`, long [N]."""
        return see(faces, self.known[forms.to(faces.device)], self.blocks[forms])
