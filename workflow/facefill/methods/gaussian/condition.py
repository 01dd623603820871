"""The conditional mean and draws for all faces of a task."""

import numpy as np
import torch

from facefill.complete import Task
from facefill.core.blend import blend
from facefill.core.masking import by_mask
from facefill.core.progress import progress
from facefill.methods import BATCH
from facefill.methods.latent.noise import generator
from facefill.models.gaussian.normal import Posterior, load_normal


def complete_faces(task: Task, count: int, blending: str) -> np.ndarray:
    """Return completions of every face, the first the mean: uint8 [N, count, size, size, 3].

    Faces that share a mask share its factorisation. A face's draws depend on its name and the
    task's seed. Raises FacefillError as `load_normal` does.
    """
    observed, known, block = task.observed, task.masks.known, task.masks.block
    size = observed.shape[1]
    normal = load_normal(*task.models["model"], size)
    projected = normal.project(observed, known, block)
    grain = normal.residual.sqrt().view(size, size, 3)
    z = torch.empty(len(observed), count, projected.shape[1], dtype=torch.float64)
    with progress(len(observed), "conditioning", "faces") as bar:
        for mask, rows in by_mask(known):
            posterior = Posterior(normal.gram(mask, block), normal.noise_of(mask, block))
            for row, mean in zip(rows, posterior.mean(projected[rows]), strict=True):
                random = generator(task.seed, task.names[row])
                z[row] = mean
                z[row, 1:] += posterior.deviations(count - 1, random)
            bar.update(len(rows))
    filled = np.empty((len(observed), count, size, size, 3), np.uint8)
    for start in range(0, len(observed), BATCH):
        part = slice(start, start + BATCH)
        faces = normal.faces(z[part].flatten(0, 1)).view(-1, count, size, size, 3)
        for face, name in zip(faces, task.names[part], strict=True):
            random = generator(task.seed, name, "grain")
            face[1:] += grain * torch.randn(face[1:].shape, generator=random, dtype=torch.float64)
        # Rounded first, so that the last bits do not decide how a half is rounded.
        filled[part] = faces.numpy().round(6).round().clip(0, 255)
    blended = [blend(blending, observed, known, filled[:, number]) for number in range(count)]
    return np.stack(blended, axis=1)
