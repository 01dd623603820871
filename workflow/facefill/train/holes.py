"""The holes that networks train on: masks in many forms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from facefill.core.device import Compute
from facefill.core.masking import make_masks
from facefill.train.average import fresh_statistics
from facefill.core.tensors import to_unit
from facefill.core.observed import observed_by_network

VARIANTS = 256  # of masks that differ from face to face
RECALIBRATION_BATCHES = 10  # that set a network's BatchNorm statistics
RECALIBRATION_FACES = 64  # in each of them


class Holes:
    """Some masks in VARIANTS forms each. A hole is the number of a mask and that of a form."""

    def __init__(self, masks: Sequence[dict[str, Any]], size: int, zoom: float, compute: Compute):
        made = [make_masks(mask, list(map(str, range(VARIANTS))), size, zoom) for mask in masks]
        known = torch.stack([torch.from_numpy(one.known)[:, None] for one in made])
        self.blocks = [one.block for one in made]
        self.known = known.to(compute.device)  # bool [masks, VARIANTS, 1, size, size]

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Holes for `count` faces, every mask as likely: long [count, 2] on the CPU."""
        masks = torch.randint(len(self.blocks), (count,), generator=random)
        return torch.stack([masks, torch.randint(VARIANTS, (count,), generator=random)], 1)

    def regular(self, mask: int, count: int) -> Tensor:
        """Holes under one mask for the same `count` faces each time: its forms in turn."""
        forms = torch.arange(count) % VARIANTS
        return torch.stack([torch.full_like(forms, mask), forms], 1)

    def of(self, holes: Tensor) -> Tensor:
        """What is known under `holes`, long [N, 2]: bool [N, 1, size, size]."""
        mask, form = holes.to(self.known.device).unbind(1)
        return self.known[mask, form]

    def observe(self, faces: Tensor, known: Tensor, holes: Tensor) -> tuple[Tensor, Tensor]:
        """What a network sees of `faces` [N, 3, size, size] in [-1, 1] (observed_by_network)."""
        seen, said = observed_by_network(faces, known, 0)
        for number, block in enumerate(self.blocks):
            rows = (holes[:, 0] == number).nonzero()[:, 0].to(faces.device)
            if block and len(rows):
                seen[rows], said[rows] = observed_by_network(faces[rows], known[rows], block)
        return seen, said


@torch.no_grad()
def recalibrate(
    network: nn.Module, faces: Tensor, holes: Holes, random: torch.Generator, compute: Compute
) -> None:
    """Give a network's BatchNorm statistics over some of `faces` under all masks alike.

    `faces` are uint8 [N, 3, size, size]. Ends in evaluation mode. The running statistics of a
    training are those of its last few batches, and of networks that have changed since.
    """
    order = torch.randperm(len(faces), generator=random)
    with fresh_statistics(network), compute.autocast():
        for chosen in order.split(RECALIBRATION_FACES)[:RECALIBRATION_BATCHES]:
            some, drawn = to_unit(faces[chosen.to(compute.device)]), holes.draw(len(chosen), random)
            seen, said = holes.observe(some, holes.of(drawn), drawn)
            network(seen.contiguous(memory_format=compute.memory_format), said)
