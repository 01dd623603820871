"""Errors in holes, and how large they are under each mask."""

import torch
from torch import Tensor, nn

from facefill.train import team

MEMORY = 0.995  # of the running means, per step


def in_hole(values: Tensor, known: Tensor) -> Tensor:
    """The mean of `values`, [N, 3, size, size], over each face's hidden pixels: [N]."""
    hidden = ~known
    return (values * hidden).sum((1, 2, 3)) / (3 * hidden.sum((1, 2, 3)).clamp(min=1))


class Errors(nn.Module):
    """Running means of squared errors by mask, so that all masks weigh alike in a loss."""

    def __init__(self, masks: int, device: torch.device):
        super().__init__()
        self.register_buffer("sums", torch.zeros(masks, device=device))
        self.register_buffer("counts", torch.zeros(masks, device=device))

    def update(self, masks: Tensor, errors: Tensor) -> Tensor:
        """Take in `errors`, [N], under `masks`, long [N]; return the mean of each one's mask.

        Of a team, those of all its processes are taken in.
        """
        every_mask, every_error = team.gather(masks), team.gather(errors)
        self.counts.mul_(MEMORY).index_add_(0, every_mask, torch.ones_like(every_error))
        self.sums.mul_(MEMORY).index_add_(0, every_mask, every_error)
        return (self.sums / self.counts.clamp(min=1e-9))[masks]
