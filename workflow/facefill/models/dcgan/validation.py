"""How well a generator completes validation faces: decides which epoch is kept."""

import math

import numpy as np
import torch
from torch import Tensor

from facefill.core.descriptor import Describer
from facefill.core.device import Compute
from facefill.core.likeness import psnr
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.masks.center import Center
from facefill.models.dcgan.networks import Generator

STEPS = 40
LR = 0.1  # of the search, decayed along a cosine
MASK = Center(scale=0.25)


class Validation:
    """A short latent search for faces with a hole in the middle, always the same.

    L1 distance to the known pixels plus |z|^2 / 2, by Adam from one z per face: not the best
    completion, but the same test for every epoch, in a few seconds.
    """

    def __init__(self, faces: np.ndarray, zoom: float, start: Tensor, prior: str, compute: Compute):
        """`faces` are uint8 [N, size, size, 3], `zoom` the alignment's, `start` z [N, z_dim].

        `prior` is that of z: where it is uniform, z stays in its cube.
        """
        size = faces.shape[1]
        self.faces, self.prior, self.compute = np.asarray(faces), prior, compute
        self.start = start.to(compute.device)
        self.known = MASK.known("", size, zoom)
        pixels = torch.from_numpy(self.faces.copy()).permute(0, 3, 1, 2)
        self.pixels = to_unit(pixels).to(compute.device, memory_format=compute.memory_format)
        self.describe = Describer(size, zoom)
        self.descriptors = self.describe(self.faces)

    def __call__(self, generator: Generator) -> tuple[float, float]:
        """The mean hole PSNR in dB and identity distance; `generator` is in evaluation mode."""
        filled = self._search(generator)
        completed = np.where(self.known[..., None], self.faces, filled)
        pairs = list(zip(self.faces, completed, strict=True))
        hole_psnr = np.mean([psnr(*pair, ~self.known) for pair in pairs])
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
            return to_pictures(from_unit(generator(z)))
