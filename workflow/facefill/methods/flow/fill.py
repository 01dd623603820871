"""Means and samples of a trained flow for all faces of a task."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from facefill.complete import Task
from facefill.core.progress import progress
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.methods import BATCH
from facefill.methods.latent.noise import generator
from facefill.models.flow.guess import Posterior, Seen, see
from facefill.models.flow.trained import TrainedFlow, guesses, load_flow, mean, sample


class Batch(NamedTuple):
    """BATCH faces, the last ones copies where fewer are left, and their guesses."""

    names: list[str]  # of those that count
    seen: Seen
    known_map: Tensor
    guess: Tensor
    posterior: Posterior
    masks: Tensor  # which of the posterior's each face has


def means(task: Task, mirror: bool) -> np.ndarray:
    """Return the mean completion of every face: uint8 [N, size, size, 3].

    With `mirror` it is the mean of that and of the mirrored completion of the mirrored face. Only
    the hole's pixels count. Raises FacefillError as `load_flow` does.
    """
    flow, completed = _load(task), []
    for batch in _batches(task, flow, mirror):
        faces = mean(flow, batch.seen, batch.known_map, batch.guess)
        if mirror:
            seen = Seen(batch.seen.observed.flip(3), batch.seen.known.flip(3), batch.seen.blocks)
            mirrored = mean(flow, seen, batch.known_map.flip(3), batch.guess.flip(3))
            faces = (faces + mirrored.flip(3)) / 2
        completed.append(to_pictures(from_unit(faces[: len(batch.names)])))
    return np.concatenate(completed)


def samples(task: Task, count: int, steps: int) -> np.ndarray:
    """Return `count` samples of every face: uint8 [N, count, size, size, 3].

    A face's samples depend on its name and the task's seed. Raises FacefillError as `load_flow`
    does.
    """
    flow, completed = _load(task), []
    rank, shape = len(flow.guess.scales), flow.guess.mean.shape
    for batch in _batches(task, flow, mirror=True):
        drawn_for = batch.names + batch.names[-1:] * (BATCH - len(batch.names))
        of_batch = []
        for number in range(count):
            random = [generator(task.seed, name, "flow", number) for name in drawn_for]
            z = torch.stack([torch.randn(rank, generator=each) for each in random])
            white = torch.stack([torch.randn(2, *shape, generator=each) for each in random])
            drawn = batch.posterior.deviations(
                batch.seen, batch.masks, z.to(batch.guess.device), white.to(batch.guess.device)
            )
            faces = sample(flow, batch.seen, batch.known_map, batch.guess, drawn, steps)
            of_batch.append(to_pictures(from_unit(faces[: len(batch.names)])))
        completed.append(np.stack(of_batch, axis=1))
    return np.concatenate(completed)


def _load(task: Task) -> TrainedFlow:
    return load_flow(*task.models["model"], task.observed.shape[1], task.device)


def _batches(task: Task, flow: TrainedFlow, mirror: bool) -> Iterator[Batch]:
    """Faces in batches of one size: kernels chosen for one shape round in one way."""
    device, shared = flow.compute.device, None
    with torch.no_grad(), progress(len(task.names), "completing", "faces") as bar:
        for start in range(0, len(task.names), BATCH):
            names = task.names[start : start + BATCH]
            rows = [min(start + row, len(task.names) - 1) for row in range(BATCH)]
            known = task.masks.known[rows]
            number_of: dict[bytes, int] = {}
            numbers = [number_of.setdefault(mask.tobytes(), len(number_of)) for mask in known]
            if shared is None or shared[0] != list(number_of):
                different = [known[numbers.index(number)] for number in range(len(number_of))]
                masks = [(mask, task.masks.block) for mask in different]
                shared = list(number_of), Posterior(flow.guess, masks, device)
            faces = to_unit(torch.from_numpy(task.observed[rows]).permute(0, 3, 1, 2)).to(device)
            blocks = torch.full((BATCH,), task.masks.block)
            seen, known_map = see(faces, torch.from_numpy(known)[:, None].to(device), blocks)
            masks = torch.tensor(numbers, device=device)
            z = shared[1].coefficients(seen, masks)
            guess = guesses(flow.correction, shared[1], z, masks, known_map, mirror=mirror)
            yield Batch(names, seen, known_map, guess, shared[1], masks)
            bar.update(len(names))
