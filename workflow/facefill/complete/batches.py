"""Batches of one size, so that a face alone is completed as it is among others."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from facefill.device import Compute


def batches(
    inputs: Sequence[Tensor], size: int, compute: Compute
) -> Iterator[tuple[list[Tensor], int]]:
    """Yield parts of `inputs`, [N, C, side, side] each, of exactly `size` rows: [size, C, ...].

    The second value is how many rows count: the last batch repeats its last row.
    """
    for start in range(0, len(inputs[0]), size):
        parts = [part[start : start + size] for part in inputs]
        count = len(parts[0])
        yield (
            [
                torch.cat([part, part[-1:].expand(size - count, -1, -1, -1)]).contiguous(
                    memory_format=compute.memory_format
                )
                for part in parts
            ],
            count,
        )
