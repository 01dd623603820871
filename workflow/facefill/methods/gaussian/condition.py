"""The conditional mean and draws for all faces of a task."""

import numpy as np
import torch

from facefill.complete import Task
from facefill.core.blend import blend
from facefill.core.masking import by_mask
from facefill.core.progress import progress
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
    filled = np.empty((len(observed), count, size, size, 3), np.uint8)
    with torch.no_grad(), progress(len(observed), "completing", "faces") as bar:
        for mask, rows in by_mask(known):
            posterior = Posterior(normal.gram(mask, block), normal.noise_of(mask, block))
            for row, z in zip(rows, posterior.mean(projected[rows]), strict=True):
                random = generator(task.seed, task.names[row])
                drawn = z + posterior.deviations(count - 1, random)
                faces = normal.faces(torch.cat([z[None], drawn]))
                faces[1:] += grain * torch.randn(
                    faces[1:].shape, generator=random, dtype=torch.float64
                )
                # Rounded first, so that the last bits do not decide how a half is rounded.
                filled[row] = faces.numpy().round(6).round().clip(0, 255)
            bar.update(len(rows))
    blended = [blend(blending, observed, known, filled[:, number]) for number in range(count)]
    return np.stack(blended, axis=1)
