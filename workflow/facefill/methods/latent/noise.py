"""Random numbers of searches side by side: each has its own, wherever in a batch it stands."""

import hashlib
from collections.abc import Sequence

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
        return self._rows([torch.rand(count, generator=one) for one in self.generators], count)

    def normal(self, count: int) -> Tensor:
        """float32 [rows, count], standard normal."""
        return self._rows([torch.randn(count, generator=one) for one in self.generators], count)

    def _rows(self, drawn: list[Tensor], count: int) -> Tensor:
        return torch.stack(drawn + [torch.zeros(count)] * self.padding).to(self.device)
