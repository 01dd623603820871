"""A trained completion network, ready to be used."""

from pathlib import Path

from facefill.core import device
from facefill.core.device import Compute
from facefill.models.glcic.networks import CompletionNetwork
from facefill.train.weights import load, load_settings

SETTINGS = ("width", "precision", "channels_last")  # needed to build the network


def load_completion(
    weights: Path, settings_file: Path, size: int, device_name: str
) -> tuple[CompletionNetwork, Compute]:
    """Load the network for faces of `size` pixels, in evaluation mode, without gradients.

    Raises FacefillError as facefill.train.weights.load does.
    """
    settings = load_settings(settings_file, SETTINGS)
    compute = device.choose(device_name, settings["precision"], settings["channels_last"])
    network = CompletionNetwork(size, settings["width"])
    load(weights, settings, {"completion": network})
    # Inference: BatchNorm's stored statistics, or a face would depend on its batch mates.
    network.to(compute.device, memory_format=compute.memory_format).eval().requires_grad_(False)
    return network, compute
