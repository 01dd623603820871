"""Tensors that all networks share: faces in [-1, 1], random streams, initial weights."""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn


def initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), as Radford et al. (section 4) do."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def sample_z(count: int, z_dim: int, prior: str, random: torch.Generator) -> Tensor:
    """Draw z from the prior: float32 [count, z_dim] on the CPU, the same on every device."""
    if prior == "uniform":
        return torch.rand(count, z_dim, generator=random) * 2 - 1
    return torch.randn(count, z_dim, generator=random)


def random_stream(seed: int, stream: int) -> torch.Generator:
    """The random numbers of one part of a training, such as an epoch, that need no other state."""
    digest = hashlib.sha256(f"{seed}:{stream}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def to_unit(faces: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return faces.float().div_(127.5).sub_(1)


def from_unit(faces: Tensor) -> Tensor:
    """Float in [-1, 1] -> uint8 0..255, rounded."""
    return faces.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def to_pictures(faces: Tensor) -> np.ndarray:
    """uint8 [N, 3, size, size] on any device -> NumPy [N, size, size, 3]."""
    return faces.permute(0, 2, 3, 1).cpu().numpy()
