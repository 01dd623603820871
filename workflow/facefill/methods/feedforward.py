"""Completion in one forward pass of a completion network."""

from pathlib import Path

import numpy as np
import torch

from facefill.core import device
from facefill.core.batches import batches, network_inputs
from facefill.core.masking import Masks
from facefill.core.progress import progress
from facefill.models.glcic.networks import CompletionNetwork
from facefill.core.tensors import from_unit
from facefill.train.weights import load, load_settings

SETTINGS = ("width", "precision", "channels_last")
BATCH = 64


def complete(
    observed: np.ndarray,
    masks: Masks,
    weights: Path,
    settings_file: Path,
    mirror: bool,
    device_name: str,
) -> np.ndarray:
    """Return what the model makes of `observed`, uint8 [N, size, size, 3]; likewise.

    Right in the holes only. With `mirror` it is the mean of that and of what the model makes of
    the mirrored faces, mirrored back. Of hidden pixels nothing is looked at but the means of their
    blocks, where the mask tells these. Raises FacefillError as facefill.train.weights.load does.
    """
    settings = load_settings(settings_file, SETTINGS)
    compute = device.choose(device_name, settings["precision"], settings["channels_last"])
    network = CompletionNetwork(observed.shape[1], settings["width"])
    load(weights, settings, {"completion": network})
    network.to(compute.device, memory_format=compute.memory_format).eval().requires_grad_(False)
    inputs = network_inputs(observed, masks, compute)
    filled = []
    with (
        torch.no_grad(),
        compute.autocast(),
        progress(len(observed), "completing", "faces") as bar,
    ):
        for parts, count in batches(inputs, BATCH, compute):
            made = network(*parts).float()
            if mirror:
                made = (made + network(*(part.flip(3) for part in parts)).float().flip(3)) / 2
            filled.append(from_unit(made[:count]).permute(0, 2, 3, 1).cpu().numpy())
            bar.update(count)
    return np.concatenate(filled)
