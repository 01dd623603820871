"""What a network sees of faces that have holes: of hidden pixels nothing gets through here."""

import torch
import torch.nn.functional as F
from torch import Tensor


def observed_by_network(faces: Tensor, known: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """The two inputs of a network: [N, 3, size, size] in [-1, 1], and [N, 1, size, size].

    The first is the faces where they are known, the mean colours of square blocks of the side
    `block` where that is not 0, and 0 where nothing is known. The second says which: 1 where a
    pixel is known, 0.5 where the mean of its block is, else 0. `faces` are [N, 3, size, size] in
    [-1, 1], `known` is bool [N, 1, size, size].
    """
    if not block:
        return faces * known, known.float()
    means = F.avg_pool2d(faces, block)
    means = means.repeat_interleave(block, 2).repeat_interleave(block, 3)
    return torch.where(known, faces, means), known.float().clamp(min=0.5)
