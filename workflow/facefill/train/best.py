"""Which epoch of a training is kept: the one that completes validation faces best."""

import copy
from typing import Any

from torch import nn

CHECKS = 4  # epochs that are compared, evenly spaced, the last one among them
IDENTITY_WEIGHT = 10.0  # dB of hole PSNR that outweigh an identity distance of 1

Networks = dict[str, nn.Module]


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


class Best:
    """The networks of the epoch that completes validation faces best, so far."""

    def __init__(self) -> None:
        self.scores: dict[int, tuple[float, float]] = {}  # of the epochs that were validated
        self._networks: dict[str, Any] = {}

    @property
    def epoch(self) -> int:
        return best_epoch(self.scores)

    def offer(self, epoch: int, scores: tuple[float, float], networks: Networks) -> None:
        """Note an epoch's scores, and keep copies of its networks when they are the best."""
        self.scores[epoch] = scores
        if self.epoch == epoch:
            states = {name: network.state_dict() for name, network in networks.items()}
            self._networks = copy.deepcopy(states)

    def restore(self, networks: Networks) -> None:
        """Load the weights that were kept into `networks`; raises when these do not fit."""
        for name, network in networks.items():
            network.load_state_dict(self._networks[name])

    def state(self) -> dict[str, Any]:
        return {"scores": self.scores, "kept": self._networks}

    def load_state(self, state: dict[str, Any], networks: Networks) -> None:
        """Go on from what `state` returned; overwrites `networks` to check that it fits them."""
        self.scores, self._networks = state["scores"], state["kept"]
        if self.scores:
            self.restore(networks)  # notices damage now instead of after the last epoch
