"""What networks get of faces to complete, in batches of one size: so batch mates do not matter."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from facefill.core.device import Compute
from facefill.core.masking import Masks
from facefill.core.observed import observed_by_network
from facefill.core.tensors import to_unit


def network_inputs(observed: np.ndarray, masks: Masks, compute: Compute) -> tuple[Tensor, Tensor]:
    """What `observed_by_network` makes of `observed`, uint8 [N, size, size, 3], on the device."""
    faces = to_unit(torch.from_numpy(observed).permute(0, 3, 1, 2)).to(compute.device)
    known = torch.from_numpy(masks.known)[:, None].to(compute.device)
    return observed_by_network(faces, known, masks.block)


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
