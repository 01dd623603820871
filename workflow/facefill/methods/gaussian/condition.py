"""The conditional mean and draws for all faces of a task."""

import math

import numpy as np
import torch
from torch import Tensor

from facefill.complete import Task
from facefill.core.blend import blend
from facefill.core.masking import by_mask
from facefill.core.progress import progress
from facefill.methods import BATCH
from facefill.methods._walk import STOPS, blend_frames, places
from facefill.methods.latent.noise import generator
from facefill.models.gaussian.normal import Normal, Posterior, load_normal


def complete_faces(task: Task, count: int, blending: str) -> tuple[np.ndarray, np.ndarray]:
    """Return completions of every face, the first the mean: uint8 [N, count, size, size, 3].

    Second, frames of a walk between those of the watched faces, [frames, faces, size, size, 3].
    Faces that share a mask share its factorisation. A face's draws depend on its name and the
    task's seed. Raises FacefillError as `load_normal` does.
    """
    observed, known, block = task.observed, task.masks.known, task.masks.block
    size = observed.shape[1]
    normal = load_normal(*task.models["model"], size)
    projected = normal.project(observed, known, block)
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
            face += _grain(normal, count, task.seed, name)
        filled[part] = _rounded(faces)
    blended = [blend(blending, observed, known, filled[:, number]) for number in range(count)]
    walk = blend_frames(blending, task, _walk(normal, z[task.watched, :STOPS], task))
    return np.stack(blended, axis=1), walk


def _grain(normal: Normal, count: int, seed: int, name: str) -> Tensor:
    """What components leave to chance in a face's draws, not in its mean: [count, *face]."""
    size, random = normal.size, generator(seed, name, "grain")
    grain = torch.zeros(count, size, size, 3, dtype=torch.float64)
    grain[1:] = torch.randn(grain[1:].shape, generator=random, dtype=torch.float64)
    return grain * normal.residual.sqrt().view(size, size, 3)


def _walk(normal: Normal, z: Tensor, task: Task) -> np.ndarray:
    """Walk between the samples of the watched faces, of which z is [N, K, rank].

    Deviations from the mean are weighed by cosine and sine, whose squares add up to 1: so every
    place between two draws is a draw itself, where a straight line would only fade one into the
    other (spherical interpolation, White 2016). Returns uint8 [frames, N, size, size, 3].
    """
    count, mean = z.shape[1], z[:, :1]
    names = [task.names[row] for row in task.watched]
    grain = torch.stack([_grain(normal, count, task.seed, name) for name in names])
    way = places(count)
    angles = torch.tensor([place.share * math.pi / 2 for place in way], dtype=torch.float64)
    first, second = ([place[end] for place in way] for end in (0, 1))

    def walked(values: Tensor) -> Tensor:
        shape = (-1, *[1] * (values.ndim - 2))
        near, far = angles.cos().view(shape), angles.sin().view(shape)
        return values[:, first] * near + values[:, second] * far

    faces = normal.faces((mean + walked(z - mean)).flatten(0, 1))
    return _rounded(faces.view(len(z), len(way), *faces.shape[1:]) + walked(grain)).swapaxes(0, 1)


def _rounded(faces: Tensor) -> np.ndarray:
    """As pixels; rounded to 6 digits first, or the last bits would decide how a half is rounded."""
    return faces.numpy().round(6).round().clip(0, 255).astype(np.uint8)
