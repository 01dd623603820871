"""Means and samples of a trained flow for all faces of a task."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from facefill.complete import Task
from facefill.core.progress import progress
from facefill.core.tensors import from_unit, to_pictures, to_unit
from facefill.methods import BATCH
from facefill.methods._walk import Place, places
from facefill.methods.flow.draws import Drawing, by_analogs, by_normal, tempered
from facefill.models.flow.analogs import FEWEST
from facefill.models.flow.guess import Conditional, Posterior, Seen, see
from facefill.models.flow.own_masks import OwnMasks
from facefill.models.flow.trained import TrainedFlow, guesses, load_flow, mean, sample

if TYPE_CHECKING:
    from facefill.methods.flow import Flow


class Batch(NamedTuple):
    """BATCH faces, the last ones copies where fewer are left, and their guesses."""

    counted: range  # the places of those that count, among the rows asked for
    seen: Seen
    guess: Tensor
    posterior: Conditional
    masks: Tensor  # which of the posterior's each face has


def means(task: Task, mirror: bool) -> np.ndarray:
    """Return the mean completion of every face: uint8 [N, size, size, 3].

    With `mirror` it is the mean of that and of the mirrored completion of the mirrored face. Only
    the hole's pixels count. Raises FacefillError as `load_flow` does.
    """
    flow, completed = _load(task), []
    # By the kind of mask, not by the masks: a face is completed alike, whatever is beside it.
    # A correction needs the deviations of z, which only an inverse has.
    own = task.masks.per_face and not flow.correction.learnt
    guessing = OwnMasks if own else Posterior
    for batch in _batches(task, flow, range(len(task.names)), mirror, guessing):
        faces = mean(flow, batch.seen, batch.guess)
        if mirror:
            faces = (faces + _mirrored_mean(flow, batch)) / 2
        completed.append(to_pictures(from_unit(faces[: len(batch.counted)])))
    return np.concatenate(completed)


def samples(task: Task, settings: "Flow") -> tuple[np.ndarray, np.ndarray]:
    """Return samples of every face: uint8 [N, K, size, size, 3].

    Second, frames of a walk between those of the watched faces, [frames, faces, size, size, 3]. A
    face's samples depend on its name and the task's seed. Raises FacefillError as `load_flow` does.
    """
    count = settings.samples
    way = places(count)
    between = [place for place in way if place.share]
    draws = [
        (row, Place(number, number, 0)) for row in range(len(task.names)) for number in range(count)
    ]
    on_the_way = [(row, place) for place in between for row in task.watched]
    faces = _carry(task, draws + on_the_way, settings)
    sampled = faces[: len(draws)].reshape(-1, count, *faces.shape[1:])
    walked = faces[len(draws) :].reshape(-1, len(task.watched), *faces.shape[1:])
    frames = iter(walked)
    walk = [next(frames) if place.share else sampled[task.watched, place.first] for place in way]
    return sampled, np.stack(walk)


def _carry(task: Task, draws: list[tuple[int, Place]], settings: "Flow") -> np.ndarray:
    """Carry draws, each for the face of a row, to faces: uint8 [draws, size, size, 3]."""
    flow, completed = _load(task), []
    drawing = _drawing(task, flow, settings.draws)
    for batch in _batches(task, flow, [row for row, _ in draws], True, Posterior):
        of_batch = draws[batch.counted.start : batch.counted.stop]
        of_batch += of_batch[-1:] * (BATCH - len(of_batch))
        names = [task.names[row] for row, _ in of_batch]
        drawn = drawing(batch, names, [place.first for _, place in of_batch])
        share = torch.tensor([place.share for _, place in of_batch], device=drawn.device)
        if share.any():
            # The squares of both weights add up to 1, so that the spread stays (White 2016).
            angle = share[:, None, None, None] * math.pi / 2
            second = drawing(batch, names, [place.second for _, place in of_batch])
            drawn = drawn * angle.cos() + second * angle.sin()
        drawn = tempered(drawn, settings.temperature)
        faces = sample(flow, batch.seen, batch.guess, drawn, settings.steps)
        faces = faces + _towards_both(flow, batch)
        completed.append(to_pictures(from_unit(faces[: len(batch.counted)])))
    return np.concatenate(completed)


def _towards_both(flow: TrainedFlow, batch: Batch) -> Tensor:
    """From the mean of faces to that of both mirror images, which is nearer to the truth."""
    return (_mirrored_mean(flow, batch) - mean(flow, batch.seen, batch.guess)) / 2


def _mirrored_mean(flow: TrainedFlow, batch: Batch) -> Tensor:
    """The mean completions of a batch's mirror images, mirrored back."""
    mirrored = batch.seen.turned(lambda part: part.flip(3))
    return mean(flow, mirrored, batch.guess.flip(3)).flip(3)


def _drawing(task: Task, flow: TrainedFlow, draws: str) -> Drawing:
    """Draws by analogs where they are wanted, learnt, and to be had."""
    if draws == "analogs" and flow.analogs and len(task.train) >= FEWEST:
        return by_analogs(flow, task.train, task.seed)
    return by_normal(flow, task.seed)


def _load(task: Task) -> TrainedFlow:
    return load_flow(*task.models["model"], task.observed.shape[1], task.device)


def _batches(
    task: Task,
    flow: TrainedFlow,
    rows: Sequence[int],
    mirror: bool,
    guessing: type[Conditional],
) -> Iterator[Batch]:
    """Faces of these rows in batches of one size: kernels chosen for one shape round in one way."""
    device, shared = flow.compute.device, None
    with torch.no_grad(), progress(len(rows), "completing", "faces") as bar:
        for start in range(0, len(rows), BATCH):
            counted = range(len(rows))[start : start + BATCH]
            padded = [rows[min(start + number, len(rows) - 1)] for number in range(BATCH)]
            known = task.masks.known[padded]
            number_of: dict[bytes, int] = {}
            numbers = [number_of.setdefault(mask.tobytes(), len(number_of)) for mask in known]
            if shared is None or shared[0] != list(number_of):
                different = [known[numbers.index(number)] for number in range(len(number_of))]
                masks = [(mask, task.masks.block) for mask in different]
                shared = list(number_of), guessing(flow.guess, masks, device)
            faces = to_unit(torch.from_numpy(task.observed[padded]).permute(0, 3, 1, 2)).to(device)
            blocks = torch.full((BATCH,), task.masks.block)
            seen = see(faces, torch.from_numpy(known)[:, None].to(device), blocks)
            masks = torch.tensor(numbers, device=device)
            z = shared[1].coefficients(seen, masks)
            guess = guesses(flow.correction, shared[1], z, masks, seen, mirror=mirror)
            yield Batch(counted, seen, guess, shared[1], masks)
            bar.update(len(counted))
