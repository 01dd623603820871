"""Random numbers of searches side by side: each search has its own, wherever in a batch it is."""

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def generator(*parts: object) -> torch.Generator:
    """A generator of random numbers that depends on `parts` and on nothing else."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


class Noise:
    """Draws for the rows of one batch, each from its own generator, the same on every device."""

    def __init__(self, generators: Sequence[torch.Generator], rows: int, device: torch.device):
        """The rows that pad a batch to `rows` have no generator; they get zeros."""
        self.generators, self.padding, self.device = generators, rows - len(generators), device

    def uniform(self, count: int) -> Tensor:
        """float32 [rows, count] in [0, 1)."""
        return self._rows(torch.rand, count)

    def normal(self, count: int) -> Tensor:
        """float32 [rows, count], standard normal."""
        return self._rows(torch.randn, count)

    def _rows(self, draw: Callable[..., Tensor], count: int) -> Tensor:
        drawn = [draw(count, generator=generator) for generator in self.generators]
        return torch.stack(drawn + [torch.zeros(count)] * self.padding).to(self.device)
