"""Trainings of which one epoch is kept: the one that completes validation faces best."""

import copy
import logging
from abc import abstractmethod
from typing import Any

import pandas as pd
from torch import nn

from facefill.core.device import Compute
from facefill.train.loop import Settings, TrainingLoop
from facefill.train.task import Training

log = logging.getLogger("facefill.train")

CHECKS = 4  # epochs that are compared, evenly spaced, the last one among them
IDENTITY_WEIGHT = 10.0  # dB of hole PSNR that outweigh an identity distance of 1


def checked_epochs(epochs: int) -> list[int]:
    """The epochs, counted from 1, after which a training of so many is validated."""
    return sorted({round(epochs * check / CHECKS) for check in range(1, CHECKS + 1)} - {0})


def best_epoch(scores: dict[int, tuple[float, float]]) -> int:
    """The epoch of the highest hole PSNR minus IDENTITY_WEIGHT times the identity distance.

    `scores` are, by epoch, hole PSNR in dB and identity distance. PSNR alone rewards blur, and
    identity alone ignores colours; 0.01 of distance, a typical difference between methods, weighs
    0.1 dB.
    """
    return max(scores, key=lambda epoch: scores[epoch][0] - IDENTITY_WEIGHT * scores[epoch][1])


class ValidatedLoop(TrainingLoop):
    """A training that keeps the networks of its best epoch so far beside those in training."""

    def __init__(self, training: Training, settings: Settings, compute: Compute):
        super().__init__(training, settings, compute)
        self.scores: dict[int, tuple[float, float]] = {}  # of the epochs that were validated
        self._kept: dict[str, Any] = {}  # weights of the best of these

    @abstractmethod
    def kept_networks(self) -> dict[str, nn.Module]:
        """What is kept of an epoch, under the names in the file of weights.

        All are among `parts()`, from which `load_state` restores what it overwrites.
        """

    def offer(self, hole_psnr: float, penalty: float) -> None:
        """Note this epoch's scores; keep its networks if they are the best so far.

        `hole_psnr` is in dB, `penalty` an identity distance or what is to weigh as much.
        """
        self.scores[self.epoch] = round(hole_psnr, 6), round(penalty, 6)
        if best_epoch(self.scores) == self.epoch:
            networks = self.kept_networks().items()
            self._kept = copy.deepcopy({name: part.state_dict() for name, part in networks})

    def restore_best(self) -> tuple[int, pd.DataFrame]:
        """Load the networks of the best epoch; return its number and the history, which marks it.

        Without an epoch that was validated the last one is kept.
        """
        epoch = self.epoch
        if self.scores:
            epoch = best_epoch(self.scores)
            self._restore()
            log.info("epoch %d is best on the validation faces and is kept", epoch)
        history = pd.DataFrame(self.history)
        return epoch, history.assign(kept=(history["epoch"] == epoch).astype(int))

    def _restore(self) -> None:
        """Load the weights that are kept; raises when they do not fit the networks."""
        for name, network in self.kept_networks().items():
            network.load_state_dict(self._kept[name])

    def state(self) -> dict[str, Any]:
        return super().state() | {"scores": self.scores, "kept": self._kept}

    def load_state(self, state: dict[str, Any]) -> None:
        self.scores, self._kept = state["scores"], state["kept"]
        if self.scores:
            self._restore()  # notices damage now instead of after the last epoch
        super().load_state(state)
