"""What an encoder predicts for faces before they are searched."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from facefill.complete import Task
from facefill.core.batches import batches, network_inputs
from facefill.core.device import Compute
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.models.encoder.network import make_encoder
from facefill.train.weights import load, load_settings

ENCODER_SETTINGS = ("filters", "features", "generator_sha256")


@dataclass(frozen=True)
class Prediction:
    """The z and the changes at which the search of every face starts, or to which it is held."""

    z: Tensor  # [N, z_dim]
    changes: Tensor | None  # of G's feature map, [N, channels, side, side]


def predict(task: Task, generator: dict[str, Any], compute: Compute, batch: int) -> Prediction:
    """Predict for the faces of a task, by its `encoder`, in batches of exactly `batch`.

    `generator` are the settings of its `model`. Raises FacefillError when the encoder's weights do
    not fit, or were trained for another generator.
    """
    weights, settings_file = task.models["encoder"]
    generator_weights, _ = task.models["model"]
    settings = load_settings(settings_file, ENCODER_SETTINGS)
    if settings["generator_sha256"] != sha256_file(generator_weights):
        raise FacefillError(
            f"{weights}: trained for another generator than {generator_weights}; delete "
            f"{weights.parent} and run again to train it anew"
        )
    encoder = make_encoder(settings, generator, task.observed.shape[1])
    load(weights, settings, {"encoder": encoder})
    encoder.to(compute.device, memory_format=compute.memory_format).eval().requires_grad_(False)
    inputs = network_inputs(task.observed, task.masks, compute)
    predicted_z, predicted_changes = [], []
    with torch.no_grad(), compute.autocast():
        for parts, count in batches(inputs, batch, compute):
            z, changes = encoder(*parts)
            predicted_z.append(z[:count].float())
            if changes is not None:
                predicted_changes.append(changes[:count].float().contiguous())
    changes = torch.cat(predicted_changes) if predicted_changes else None
    return Prediction(torch.cat(predicted_z), changes)
