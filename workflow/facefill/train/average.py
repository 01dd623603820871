"""The running average of a network's weights, and BatchNorm statistics that belong to it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from facefill.train import team


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, ema: float, updates: int) -> None:
    """Move the weights of `average` towards those of `network`, after its step number `updates`.

    `ema` is the share that stays. It starts small: an average over the first steps should not
    remember the start. BatchNorm's statistics are not averaged (`fresh_statistics`).
    """
    decay = min(ema, updates / (updates + 10))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)


@contextmanager
def fresh_statistics(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm take plain means over the batches of the block; end in evaluation mode.

    Every process of a team sees the same batches here.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean instead of a decaying one
    network.train()
    with team.apart():
        yield
    network.eval()
