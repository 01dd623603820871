"""How well a generator completes faces that it has not seen: decides which epoch is kept."""

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facefill.descriptor import Describer
from facefill.device import Compute
from facefill.likeness import psnr
from facefill.masks import make_masks
from facefill.train.networks import Generator, from_unit, to_unit

CHECKS = 4  # epochs that are compared, evenly spaced, the last one among them
STEPS = 40
LR = 0.1  # of the search, decayed along a cosine
MASK = {"kind": "center", "scale": 0.25}
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


class Validation:
    """A short latent search for faces with a hole in the middle, always the same.

    Plain L1 to the known pixels and |z|^2 / 2, Adam, z from one start each: not the best
    completion, but the same test for every epoch at a few seconds each.
    """

    def __init__(self, faces: np.ndarray, zoom: float, start: Tensor, prior: str, compute: Compute):
        """`faces` are uint8 [N, size, size, 3], `zoom` the alignment's, `start` z [N, z_dim].

        `prior` is that of z: where it is uniform, z stays in its cube.
        """
        size = faces.shape[1]
        self.faces, self.prior, self.compute = np.asarray(faces), prior, compute
        self.start = start.to(compute.device)
        self.known = make_masks(MASK, ["any"], size, zoom).known[0]
        pixels = torch.from_numpy(self.faces.copy()).permute(0, 3, 1, 2)
        self.pixels = to_unit(pixels).to(compute.device, memory_format=compute.memory_format)
        self.describe = Describer(size, zoom)
        self.descriptors = self.describe(self.faces)

    def __call__(self, generator: Generator) -> tuple[float, float]:
        """The mean hole PSNR in dB and identity distance; `generator` is in evaluation mode."""
        filled = self._search(generator)
        completed = np.where(self.known[..., None], self.faces, filled)
        pairs = list(zip(self.faces, completed, strict=True))
        hole_psnr = np.mean([psnr(face, one, ~self.known) for face, one in pairs])
        distances = np.linalg.norm(self.describe(completed) - self.descriptors, axis=1)
        return float(hole_psnr), float(np.mean(distances))

    def _search(self, generator: Generator) -> np.ndarray:
        known = torch.from_numpy(self.known).to(self.compute.device)
        z = self.start.clone().requires_grad_()
        adam = torch.optim.Adam([z], LR)
        for step in range(STEPS):
            adam.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * step / STEPS))
            with self.compute.autocast():
                generated = generator(z)
            loss = ((generated.float() - self.pixels) * known).abs().sum() + z.square().sum() / 2
            (z.grad,) = torch.autograd.grad(loss, z)
            adam.step()
            if self.prior == "uniform":
                with torch.no_grad():
                    z.clamp_(-1, 1)
        with torch.no_grad(), self.compute.autocast():
            return from_unit(generator(z)).permute(0, 2, 3, 1).cpu().numpy()
