"""What an encoder says of faces before they are searched."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facefill.core.batches import batches, network_inputs
from facefill.core.device import Compute
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.core.masking import Masks
from facefill.models.encoder.network import make_encoder
from facefill.train.weights import load, load_settings

ENCODER_SETTINGS = ("filters", "features", "generator_sha256")


@dataclass(frozen=True)
class Prediction:
    """Where an encoder expects the search of every face to end."""

    z: Tensor  # [N, z_dim]
    changes: Tensor | None  # of G's feature map, [N, channels, side, side]


def predict(
    observed: np.ndarray,
    masks: Masks,
    weights: Path,
    settings_file: Path,
    generator: dict[str, Any],
    generator_weights: Path,
    compute: Compute,
    batch: int,
) -> Prediction:
    """Predict for `observed`, uint8 [N, size, size, 3], in batches of exactly `batch`.

    `generator` are the settings of the model that the search is in. Raises FacefillError when the
    encoder's weights do not fit, or were trained for another generator.
    """
    settings = load_settings(settings_file, ENCODER_SETTINGS)
    if settings["generator_sha256"] != sha256_file(generator_weights):
        raise FacefillError(
            f"{weights}: trained for another generator than {generator_weights}; delete "
            f"{weights.parent} and run again to train it anew"
        )
    encoder = make_encoder(settings, generator, observed.shape[1])
    load(weights, settings, {"encoder": encoder})
    encoder.to(compute.device, memory_format=compute.memory_format).eval().requires_grad_(False)
    inputs = network_inputs(observed, masks, compute)
    found = []
    with torch.no_grad(), compute.autocast():
        for parts, count in batches(inputs, batch, compute):
            z, changes = encoder(*parts)
            changes = None if changes is None else changes[:count].float().contiguous()
            found.append((z[:count].float(), changes))
    z, changes = zip(*found, strict=True)
    return Prediction(torch.cat(z), None if changes[0] is None else torch.cat(changes))
