"""What trainings of a flow's U-Net share: Adam, a rate that rises and falls, an average."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from facefill.models.flow.errors import Errors
from facefill.models.flow.networks import FlowNetwork
from facefill.train import team
from facefill.train.average import update_average
from facefill.train.best import ValidatedLoop

BETAS = (0.9, 0.99)
WARM_UP = 0.1  # share of the steps over which the rate rises
MAX_NORM = 1.0  # to which a step's gradients are clipped


class UNetLoop(ValidatedLoop):
    """A training of a U-Net; the running average of its weights is what completes."""

    def begin_with(self, network: FlowNetwork) -> None:
        """Prepare the training of `network`, made after `__init__` has set the seed of weights."""
        self.network = network.to(self.compute.device, memory_format=self.compute.memory_format)
        self.average = copy.deepcopy(self.network).eval()
        self.adam = torch.optim.Adam(network.parameters(), self.settings.lr, BETAS, fused=True)
        self.errors = Errors(len(self.settings.masks), self.compute.device)

    def parts(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "average": self.average,
            "adam": self.adam,
            "errors": self.errors,
        }

    def kept_networks(self) -> dict[str, nn.Module]:
        return {"flow": self.average}

    def learn(self, loss: Tensor) -> None:
        """A step of Adam along the gradients of `loss`, the mean over a process's faces."""
        steps = self.settings.epochs * self.batches()
        self.adam.param_groups[0]["lr"] = self.settings.lr * share_of_rate(self.steps, steps)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        team.average_gradients(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
        self.adam.step()
        update_average(self.average, self.network, self.settings.ema, self.steps + 1)


def share_of_rate(step: int, steps: int) -> float:
    """The learning rate of a step, as a share of the highest: it rises, then falls."""
    return min(1.0, (step + 1) / (WARM_UP * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
