"""Which epoch of a training is kept: the one that completes validation faces best."""

import copy
from typing import Any

from torch import nn

CHECKS = 4  # epochs that are compared, evenly spaced, the last one among them
IDENTITY_WEIGHT = 10.0  # dB of hole PSNR that outweigh an identity distance of 1


def checked_epochs(epochs: int) -> list[int]:
    """The epochs, counted from 1, after which a training of so many is validated."""
    return sorted({round(epochs * check / CHECKS) for check in range(1, CHECKS + 1)} - {0})


def best_epoch(scores: dict[int, tuple[float, float]]) -> int:
    """The epoch of the highest hole PSNR minus IDENTITY_WEIGHT times the identity distance.

    `scores` are by epoch what `Validation` returns. PSNR alone rewards smears, identity alone does
    not see colours; 0.01 of distance, a difference that methods compete for, weighs 0.1 dB.
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

    def offer(
        self, epoch: int, scores: tuple[float, float], networks: dict[str, nn.Module]
    ) -> None:
        """Note an epoch's scores, and keep copies of its networks when they are the best."""
        self.scores[epoch] = scores
        if self.epoch == epoch:
            self._networks = copy.deepcopy(
                {name: network.state_dict() for name, network in networks.items()}
            )

    def put_into(self, networks: dict[str, nn.Module]) -> None:
        """Give `networks` the weights that were kept; raises when these do not fit."""
        for name, network in networks.items():
            network.load_state_dict(self._networks[name])

    def state(self) -> dict[str, Any]:
        return {"scores": self.scores, "kept": self._networks}

    def take_up(self, state: dict[str, Any], networks: dict[str, nn.Module]) -> None:
        """Go on from what `state` returned; `networks` are spoilt by the check that it fits."""
        self.scores, self._networks = state["scores"], state["kept"]
        if self.scores:
            self.put_into(networks)  # what is damaged there must not come to light at the end
