"""One forward pass of a completion network over all faces of a task."""

import numpy as np
import torch

from facefill.complete import Task
from facefill.core.batches import batches, network_inputs
from facefill.core.progress import progress
from facefill.core.tensors import from_unit, to_pictures
from facefill.kinds import kinds
from facefill.methods import BATCH
from facefill.train.weights import load_settings


def complete_faces(task: Task, mirror: bool) -> np.ndarray:
    """Return what the task's `model` makes of its faces: uint8 [N, size, size, 3].

    Only the hole's pixels of the result count. With `mirror` it is the mean of the completion and
    of the mirrored completion of the mirrored faces. Raises FacefillError as
    `facefill.train.weights.load` does.
    """
    weights, settings_file = task.models["model"]
    kind = kinds("models")[load_settings(settings_file, ["kind"])["kind"]]
    network, compute = kind.load_completion(
        weights, settings_file, task.observed.shape[1], task.device
    )
    inputs = network_inputs(task.observed, task.masks, compute)
    completed = []
    with (
        torch.no_grad(),
        compute.autocast(),
        progress(len(task.names), "completing", "faces") as bar,
    ):
        for batch, count in batches(inputs, BATCH, compute):
            faces = network(*batch).float()
            if mirror:
                mirrored = network(*(part.flip(3) for part in batch)).float()
                faces = (faces + mirrored.flip(3)) / 2
            completed.append(to_pictures(from_unit(faces[:count])))
            bar.update(count)
    return np.concatenate(completed)
