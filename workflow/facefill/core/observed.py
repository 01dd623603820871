"""The input of networks for faces that have holes. Hidden pixels do not get through here."""

import torch
import torch.nn.functional as F
from torch import Tensor


def observed_by_network(faces: Tensor, known: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Return observed faces, [N, 3, size, size] in [-1, 1], and the map of what is known of them.

    The observed faces have known pixels as they are, the mean colour of their block where `block`,
    the side of square blocks, is not 0, and 0 elsewhere. The map, float32 [N, 1, size, size], is 1
    where a pixel is known, 0.5 where the mean of its block is, and 0 elsewhere. `faces` are
    [N, 3, size, size] in [-1, 1], `known` is bool [N, 1, size, size].
    """
    if not block:
        return faces * known, known.float()
    means = F.avg_pool2d(faces, block)
    means = means.repeat_interleave(block, 2).repeat_interleave(block, 3)
    return torch.where(known, faces, means), known.float().clamp(min=0.5)
