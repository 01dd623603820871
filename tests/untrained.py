"""Models on disk that were never trained, but make something to see, for tests of completion."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facefill.core.files import sha256_file
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.models.encoder.network import make_encoder
from facefill.models.flow.correction import Correction
from facefill.models.flow.guess import Guess
from facefill.models.flow.networks import FlowNetwork
from facefill.models.gaussian.normal import Normal
from facefill.models.glcic.networks import CompletionNetwork, Discriminators
from facefill.train import weights

SIZE = 32
DCGAN = {
    "kind": "dcgan",
    "z_dim": 12,
    "prior": "normal",
    "generator_filters": 4,
    "discriminator_filters": 4,
    "kernel": 4,
    "fully_connected": 0,
    "spectral_norm": False,
    "antialias": False,
    "precision": "auto",
    "channels_last": "auto",
}
GLCIC = {"kind": "glcic", "width": 0.05, "precision": "float32", "channels_last": "auto"}
FLOW = {
    "kind": "flow",
    "width": 4,
    "blocks": 1,
    "patch": 2,
    "hidden": 8,
    "precision": "float32",
    "analogs": True,
}
Paths = tuple[Path, Path]


def save(folder: Path, networks: dict[str, nn.Module], settings: dict[str, Any]) -> Paths:
    paths = folder / "weights.safetensors", folder / "settings.json"
    weights.save(*paths, networks, settings)
    return paths


def dcgan_networks(size: int = SIZE) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    generator = Generator(size, 12, 4, 4, False)
    for parameter in generator.parameters():
        parameter.data *= 4
    return {"generator": generator, "discriminator": Discriminator(size, 4, 4, 0, False)}


def save_dcgan(folder: Path, size: int = SIZE, **settings: Any) -> Paths:
    return save(folder, dcgan_networks(size), DCGAN | settings)


def save_encoder(
    folder: Path, model: Paths, size: int = SIZE, features: int = 8, **settings: Any
) -> Paths:
    """An encoder for the generator with these paths."""
    settings = {"kind": "encoder", "filters": 8, "features": features} | settings
    settings.setdefault("generator_sha256", sha256_file(model[0]))
    torch.manual_seed(1)
    network = make_encoder(settings, json.loads(model[1].read_text()), size)
    for parameter in network.parameters():
        parameter.data *= 4
    if features:
        nn.init.normal_(network.changes.weight, 0.0, 0.2)
    return save(folder, {"encoder": network}, settings)


def completion_network(size: int = SIZE) -> CompletionNetwork:
    """One whose BatchNorm has seen something."""
    torch.manual_seed(0)
    network = CompletionNetwork(size, 0.05)
    network.mean_colour.copy_(torch.tensor([0.3, -0.1, 0.2])[:, None, None])
    for _ in range(20):
        network(torch.rand(16, 3, size, size) * 2 - 1, torch.ones(16, 1, size, size))
    return network.eval().requires_grad_(False)


def save_glcic(
    folder: Path, network: CompletionNetwork | None = None, size: int = SIZE, **settings: Any
) -> Paths:
    networks = {
        "completion": network or completion_network(size),
        "discriminators": Discriminators(size, 0.05, True, False),
    }
    return save(folder, networks, GLCIC | settings)


def normal(size: int = SIZE, rank: int = 12) -> Normal:
    """One with random components."""
    made, random = Normal(size, rank), torch.Generator().manual_seed(0)
    values = len(made.mean)
    drawn = torch.randn(values, rank, generator=random, dtype=torch.float64)
    made.components.copy_(torch.linalg.qr(drawn)[0])
    made.mean.copy_(torch.rand(values, generator=random) * 255)
    made.deviations.copy_(torch.linspace(900, 90, rank))
    made.residual.fill_(40)
    made.noise.copy_(torch.tensor([900.0, 1.0]))
    return made


def save_gaussian(folder: Path, made: Normal | None = None) -> Paths:
    made = made or normal()
    settings = {"kind": "gaussian", "flips": True, "masks": [{"kind": "center", "scale": 0.25}]}
    return save(folder, {"normal": made}, settings | {"components": len(made.deviations)})


def save_flow(
    folder: Path, made: Normal | None = None, corrects: bool = True, **settings: Any
) -> Paths:
    """A flow whose network, and with `corrects` its correction, changes its guesses."""
    made = made or normal()
    guess, rank = Guess.of(made), len(made.deviations)
    torch.manual_seed(2)
    network = FlowNetwork(made.size, FLOW["width"], FLOW["blocks"], FLOW["patch"])
    correction = Correction(rank, FLOW["hidden"])
    for layer in (network.last, correction.last)[: 1 + corrects]:
        nn.init.normal_(layer.weight, 0.0, 0.2)
    networks = {"flow": network, "correction": correction, "guess": guess}
    return save(folder, networks, FLOW | {"components": rank} | settings)


# By what a model provides: saves one into a folder.
SAVE: dict[str, Callable[[Path], Paths]] = {
    "generator": save_dcgan,
    "completion": save_glcic,
    "normal": save_gaussian,
    "flow": save_flow,
    "encoder": lambda folder: save_encoder(folder, save_dcgan(folder / "generator")),
}
