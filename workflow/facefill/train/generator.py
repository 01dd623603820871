"""A trained generator, ready to make faces."""

from pathlib import Path
from typing import Any

from facefill import device
from facefill.device import Compute
from facefill.train.networks import Generator
from facefill.train.weights import load, load_settings

# What one must know of a model to build its generator.
SETTINGS = ("z_dim", "prior", "generator_filters", "kernel", "precision", "channels_last")


def load_generator(
    weights: Path, settings_file: Path, size: int, device_name: str
) -> tuple[Generator, dict[str, Any], Compute]:
    """Return the generator of a model for faces of `size` pixels, its settings and where it is.

    It is in evaluation mode and its weights learn nothing. Raises FacefillError as `load` does.
    """
    settings = load_settings(settings_file, SETTINGS)
    compute = device.choose(device_name, settings["precision"], settings["channels_last"])
    generator = Generator(
        size, settings["z_dim"], settings["generator_filters"], settings["kernel"]
    )
    load(weights, settings, {"generator": generator})
    generator.to(compute.device, memory_format=compute.memory_format)
    return generator.eval().requires_grad_(False), settings, compute
