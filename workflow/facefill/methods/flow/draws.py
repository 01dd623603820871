"""Where samples of a flow begin: draws of what a face's guess misses."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.methods.latent.noise import generator
from facefill.models.flow.analogs import Analogs
from facefill.models.flow.trained import TrainedFlow, misses

if TYPE_CHECKING:
    import numpy as np

    from facefill.methods.flow.fill import Batch

# From a batch, the names of its faces and the numbers of their samples: [N, 3, size, size].
Drawing = Callable[["Batch", Sequence[str], Sequence[int]], Tensor]

SMOOTH = 3 / 64  # deviation of the Gaussian that parts long waves, as a share of the side
# By which short waves are multiplied: the network adds details of its own to those of an analog,
# so that samples would be too sharp.
SHORT = 0.93


def by_analogs(flow: TrainedFlow, faces: "np.ndarray", seed: int) -> Drawing:
    """What guesses miss of training faces, uint8 [n, size, size, 3], like a face as far as known.

    Samples of a face have different analogs, up to NEAREST.
    """
    analogs = Analogs(faces, flow.compute.device)

    def draw(batch: "Batch", names: Sequence[str], numbers: Sequence[int]) -> Tensor:
        seen, own = batch.seen, batch.posterior
        found = analogs.nearest(seen)
        count = found.shape[1]
        places = [
            torch.randperm(count, generator=generator(seed, name, "analogs"))[number % count]
            for name, number in zip(names, numbers, strict=True)
        ]
        chosen = found.gather(1, torch.stack(places)[:, None].to(found.device))[:, 0]
        return misses(
            flow.correction,
            own,
            analogs.pictures(chosen),
            seen,
            batch.masks,
            lambda of_analogs: own.coefficients(of_analogs, batch.masks),
            mirror=True,
        )

    return draw


def by_normal(flow: TrainedFlow, seed: int) -> Drawing:
    """What guesses miss of draws from the flow's normal."""
    rank, shape, device = len(flow.guess.scales), flow.guess.mean.shape, flow.compute.device

    def draw(batch: "Batch", names: Sequence[str], numbers: Sequence[int]) -> Tensor:
        every = [generator(seed, *pair) for pair in zip(names, numbers, strict=True)]
        z = torch.stack([torch.randn(rank, generator=each) for each in every])
        grain = torch.stack([torch.randn(shape, generator=each) for each in every])
        return batch.posterior.deviations(batch.seen, batch.masks, z.to(device), grain.to(device))

    return draw


def tempered(drawn: Tensor, temperature: float) -> Tensor:
    """Multiply the long waves of draws, [N, 3, size, size], by `temperature`, short ones by SHORT.

    Long waves hold most of a sample's error and little of what looks sharp.
    """
    return SHORT * drawn + (temperature - SHORT) * _smoothed(drawn)


def _smoothed(pictures: Tensor) -> Tensor:
    sigma = SMOOTH * pictures.shape[2]
    reach = round(3 * sigma)
    steps = torch.arange(-reach, reach + 1, device=pictures.device)
    kernel = torch.exp(-(steps / sigma).square() / 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(pictures, (reach,) * 4, "reflect")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)
