"""A trained DCGAN, ready to be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facefill.core import device
from facefill.core.device import Compute
from facefill.models.dcgan.networks import Discriminator, Generator, make_networks
from facefill.train.weights import load, load_settings

# Needed to build the networks.
SETTINGS = (
    "z_dim", "prior", "generator_filters", "discriminator_filters", "kernel", "fully_connected",
    "spectral_norm", "antialias", "precision", "channels_last",
)  # fmt: skip


@dataclass(frozen=True)
class TrainedDcgan:
    """Both networks in evaluation mode, on their device, without gradients of their weights."""

    generator: Generator
    discriminator: Discriminator
    settings: dict[str, Any]  # of the model
    compute: Compute


def load_dcgan(weights: Path, settings_file: Path, size: int, device_name: str) -> TrainedDcgan:
    """Load a model for faces of `size` pixels. Raises FacefillError as train.weights.load does."""
    settings = load_settings(settings_file, SETTINGS)
    compute = device.choose(device_name, settings["precision"], settings["channels_last"])
    generator, discriminator = make_networks(settings, size)
    load(weights, settings, {"generator": generator, "discriminator": discriminator})
    for network in (generator, discriminator):
        # Inference: BatchNorm's stored statistics, or a face would depend on its batch mates.
        network.to(compute.device, memory_format=compute.memory_format).eval()
        network.requires_grad_(False)
    return TrainedDcgan(generator, discriminator, settings, compute)
