"""The holes that networks train on: masks in many forms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from facefill.core.device import Compute
from facefill.core.masking import make_masks
from facefill.core.observed import observed_by_network
from facefill.core.tensors import to_unit
from facefill.train.average import fresh_statistics

VARIANTS = 256  # of masks that differ from face to face
RECALIBRATION_BATCHES = 10  # that set a network's BatchNorm statistics
RECALIBRATION_FACES = 64  # in each of them


class Holes:
    """Some masks in VARIANTS forms each. A hole is the number of a mask and that of a form."""

    def __init__(self, masks: Sequence[dict[str, Any]], size: int, zoom: float, compute: Compute):
        names = list(map(str, range(VARIANTS)))
        variants = [make_masks(settings, names, size, zoom) for settings in masks]
        known = torch.stack([torch.from_numpy(mask.known)[:, None] for mask in variants])
        self.blocks = [mask.block for mask in variants]
        self.known = known.to(compute.device)  # bool [masks, VARIANTS, 1, size, size]

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Holes for `count` faces, every mask as likely: long [count, 2] on the CPU."""
        masks = torch.randint(len(self.blocks), (count,), generator=random)
        return torch.stack([masks, torch.randint(VARIANTS, (count,), generator=random)], 1)

    def regular(self, mask: int, count: int) -> Tensor:
        """Holes under one mask for the same `count` faces each time: its forms in turn."""
        forms = torch.arange(count) % VARIANTS
        return torch.stack([torch.full_like(forms, mask), forms], 1)

    def known_map(self, holes: Tensor) -> Tensor:
        """What is known under `holes`, long [N, 2]: bool [N, 1, size, size]."""
        mask, form = holes.to(self.known.device).unbind(1)
        return self.known[mask, form]

    def observe(self, faces: Tensor, known: Tensor, holes: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of a network for `faces` [N, 3, size, size] in [-1, 1] (core/observed.py)."""
        observed, known_map = observed_by_network(faces, known, 0)
        for number, block in enumerate(self.blocks):
            rows = (holes[:, 0] == number).nonzero()[:, 0].to(faces.device)
            if block and len(rows):
                blocks = observed_by_network(faces[rows], known[rows], block)
                observed[rows], known_map[rows] = blocks
        return observed, known_map


@torch.no_grad()
def recalibrate(
    network: nn.Module, faces: Tensor, holes: Holes, random: torch.Generator, compute: Compute
) -> None:
    """Set a network's BatchNorm statistics by some of `faces`, every mask as likely.

    `faces` are uint8 [N, 3, size, size]. Ends in evaluation mode. The running statistics of a
    training are those of its last few batches, and of networks that have changed since.
    """
    order = torch.randperm(len(faces), generator=random)
    with fresh_statistics(network), compute.autocast():
        for chosen in order.split(RECALIBRATION_FACES)[:RECALIBRATION_BATCHES]:
            batch = to_unit(faces[chosen.to(compute.device)])
            drawn = holes.draw(len(chosen), random)
            observed, known_map = holes.observe(batch, holes.known_map(drawn), drawn)
            network(observed.contiguous(memory_format=compute.memory_format), known_map)
