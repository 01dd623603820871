"""Completion by searching the z whose face continues the known pixels (Yeh et al. 2017)."""

import gc
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.methods.latent import noise
from facefill.methods.latent.bounds import Bounds
from facefill.methods.latent.loss import Evaluation, Objective
from facefill.methods.latent.noise import Noise
from facefill.methods.latent.optimisers import OPTIMISERS, Optimiser
from facefill.methods.latent.prediction import Prediction, predict
from facefill.methods.latent.space import Space
from facefill.core.device import Compute
from facefill.core.errors import FacefillError
from facefill.core.masking import Masks
from facefill.core.progress import progress
from facefill.models.dcgan.networks import feature_channels
from facefill.core.tensors import from_unit, sample_z
from facefill.models.dcgan.trained import load_dcgan

log = logging.getLogger("facefill.complete")

# Searches run in batches of exactly this many, the last one padded: kernels chosen for one shape
# round in one way, so that a face's result does not depend on how many others there are.
BATCH = 64
RECORD_EVERY = 10  # steps between rows of search.csv
LAST_HALVING = 0.4  # share of the steps after which one restart is left
IMPROVEMENT = 0.001  # share of its loss by which a search must improve in `patience` steps


@dataclass
class Search:
    """The outcome of a search."""

    filled: np.ndarray  # what G makes of the best: uint8 [N, samples, size, size, 3]
    z: np.ndarray  # of the first sample: float32 [N, z_dim]
    losses: pd.DataFrame  # face, step, loss, contextual, prior, unweighted of the first sample
    frames: list[np.ndarray]  # of the watched faces on their way, uint8 [n, size, size, 3]
    course: list[tuple[int, float]]  # steps, and the seconds after which all faces had got there


@dataclass
class _Rows:
    """Searches side by side: faces x samples x restarts."""

    face: np.ndarray  # int [R]
    sample: np.ndarray  # int [R]
    state: dict[str, Tensor]  # [R, ...] each
    generators: list[torch.Generator]

    def take(self, rows: list[int]) -> "_Rows":
        return _Rows(
            self.face[rows],
            self.sample[rows],
            {name: values[rows] for name, values in self.state.items()},
            [self.generators[row] for row in rows],
        )

    def batches(self) -> Iterator[list[int]]:
        """The numbers of the rows in pieces of at most BATCH."""
        rows = range(len(self.face))
        for start in range(0, len(rows), BATCH):
            yield list(rows[start : start + BATCH])


def search(
    names: list[str],
    observed: np.ndarray,
    masks: Masks,
    model_weights: Path,
    model_settings: Path,
    encoder: tuple[Path, Path] | None,
    target: np.ndarray | None,
    settings: dict[str, Any],
    seed: int,
    device_name: str,
    watched: list[int],
) -> Search:
    """Search z for every face of `observed`, uint8 [N, size, size, 3] as `masks.observe` makes it.

    `settings` are a method's of kind latent; config.schema.yaml says what each means. `encoder`
    are weights and settings of the one that they name, `target` are completions by the method that
    they name, like `observed`. The faces with the numbers in `watched` are recorded on their way,
    for a GIF. Raises FacefillError when the weights do not fit, or a face has no z with a finite
    loss.
    """
    dcgan = load_dcgan(model_weights, model_settings, observed.shape[1], device_name)
    model, compute = dcgan.settings, dcgan.compute
    log.info("searching %d faces on %s", len(observed), compute)
    space = _space(settings, model, observed.shape[1])
    optimiser = OPTIMISERS[settings["optimizer"]](settings)

    def begin() -> tuple[_Record, Objective, _Rows]:
        record, prediction = _Record(watched), None
        if encoder:
            prediction = predict(observed, masks, *encoder, model, model_weights, compute, BATCH)
        objective = Objective(
            dcgan.generator,
            dcgan.discriminator,
            observed,
            masks,
            settings,
            space,
            prediction,
            target,
            compute,
        )
        rows = _starts(names, settings, seed, model, space, prediction, optimiser, compute.device)
        return record, objective, rows

    if compute.device.type == "cuda":
        # What a GPU does first loads its kernels, for a second or more: that is not searching.
        _, objective, rows = begin()
        first = _padded([0])
        objective.at(rows.state["variable"][first], torch.tensor(first, device=compute.device))
        del objective, rows
        gc.collect()  # a recorded graph keeps the memory of all that it computes
    record, objective, rows = begin()
    stages = _stages(settings)
    total = sum(
        (last - first) * math.ceil(len(observed) * settings["samples"] * restarts / BATCH)
        for first, last, restarts in stages
    )
    with progress(total, "searching", "step") as bar:
        for first, last, restarts in stages:
            rows = _best_restarts(rows, restarts, settings["keep"])
            record.begin_stage()
            for batch in rows.batches():
                _descend(rows, batch, objective, optimiser, first, last, record, bar.update)
    if not torch.isfinite(rows.state[f"{settings['keep']}_loss"]).all():
        raise FacefillError(
            "the search found no z with a finite loss; lower the method's lr, or train its model "
            "anew with lower rates"
        )
    kept = rows.state[f"{settings['keep']}_variable"]
    filled = np.concatenate(
        [_generate(objective, kept[batch], compute) for batch in rows.batches()]
    )
    z = space.z(kept)
    filled = filled.reshape(len(observed), settings["samples"], *filled.shape[1:])
    return Search(
        filled=filled,
        z=z.reshape(len(observed), settings["samples"], -1)[:, 0].cpu().numpy(),
        losses=record.losses(names),
        frames=[*record.frames(), filled[watched, 0]],
        course=record.course(),
    )


def _space(settings: dict[str, Any], model: dict[str, Any], size: int) -> Space:
    side, features = settings["features"], None
    if side:
        features = (feature_channels(size, model["generator_filters"], side), side, side)
    return Space(Bounds(settings["bounds"], model["prior"]), model["z_dim"], features)


def _stages(settings: dict[str, Any]) -> list[tuple[int, int, int]]:
    """The search as (first step, step after the last, restarts): successive halving.

    Every restart gets the first steps; the better half of each face's restarts goes on, again and
    again, until one is left after LAST_HALVING of the steps, half as long for the halving before
    (Jamieson and Talwalkar 2016).
    """
    restarts, steps = settings["restarts"], settings["steps"]
    halvings = math.ceil(math.log2(restarts))
    ends = [round(LAST_HALVING * steps / 2**left) for left in reversed(range(halvings))] + [steps]
    stages, first = [], 0
    for end in ends:
        end = max(end, first + 1)  # no restart is given up untried
        stages.append((first, end, restarts))
        first, restarts = end, math.ceil(restarts / 2)
    return stages


def _starts(
    names: list[str],
    settings: dict[str, Any],
    seed: int,
    model: dict[str, Any],
    space: Space,
    prediction: Prediction | None,
    optimiser: Optimiser,
    where: torch.device,
) -> _Rows:
    """Where every search starts: by its face and its name, so that other faces do not matter.

    Changes of a feature map start at those predicted, wherever z starts, or at none.
    """
    starts = [
        (face, sample, restart)
        for face in range(len(names))
        for sample in range(settings["samples"])
        for restart in range(settings["restarts"])
    ]
    generators = [
        noise.generator(seed, names[face], sample, restart) for face, sample, restart in starts
    ]
    z = [sample_z(1, model["z_dim"], model["prior"], one)[0] for one in generators]
    z = torch.stack(z).to(where)
    face, sample, restart = np.array(starts).T
    if settings["start"] == "mean":
        z = torch.zeros_like(z)
    if settings["start"] == "encoder":
        # One search from the prediction itself, others of the face from around it.
        first = torch.from_numpy((sample == 0) & (restart == 0)).to(where)
        z = prediction.z[face] + torch.where(first[:, None], 0.0, z)
    changes = None
    if prediction is not None and prediction.changes is not None:
        changes = prediction.changes[face]
    variable = space.start(z, changes)
    state = {
        "variable": variable,
        "last_variable": variable.clone(),  # batches write into these: no shared memory
        "best_variable": variable.clone(),
        "best_loss": torch.full((len(z),), math.inf, device=where),
        "last_loss": torch.full((len(z),), math.inf, device=where),
        "mark": torch.full((len(z),), math.inf, device=where),  # the loss to improve upon
        "better_at": torch.zeros(len(z), dtype=torch.long, device=where),
        "stopped": torch.zeros(len(z), dtype=torch.bool, device=where),
        **optimiser.start(variable),
    }
    return _Rows(face, sample, state, generators)


def _best_restarts(rows: _Rows, restarts: int, keep: str) -> _Rows:
    """The `restarts` searches of least loss of every face and sample, in the order of before."""
    loss = rows.state[f"{keep}_loss"].cpu().numpy()
    table = pd.DataFrame({"face": rows.face, "sample": rows.sample, "loss": loss})
    kept = table.sort_values("loss", kind="stable").groupby(["face", "sample"]).head(restarts)
    return rows.take(sorted(kept.index)) if len(kept) < len(table) else rows


def _descend(
    rows: _Rows,
    batch: list[int],
    objective: Objective,
    optimiser: Optimiser,
    first: int,
    last: int,
    record: "_Record",
    tick: Callable[[int], Any],
) -> None:
    """Take the searches `batch` of `rows` from step `first` to step `last`, in place.

    The end of the whole search is judged, too: its z is as good a result as any before.
    """
    settings, space = objective.settings, objective.space
    record.begin_batch()
    padded = _padded(batch)
    state = {name: values[padded] for name, values in rows.state.items()}
    faces = torch.from_numpy(rows.face[padded]).to(state["variable"].device)
    draws = Noise([rows.generators[row] for row in batch], BATCH, faces.device)

    for step in range(first, last + 1):
        if step == last and last < settings["steps"]:
            break  # the next stage judges it
        now = objective.at(state["variable"], faces)
        going_on = ~state["stopped"]
        # Only who is left of a face's restarts may stop: a record goes on with the best of them.
        patience = settings["patience"] if last == settings["steps"] else 0
        _judge(state, now, step, patience)
        if record.wants(step, settings):
            # A search that has stopped has no more steps, however long its batch mates go on.
            unweighted = objective.unweighted(now.faces, faces)
            record.add(step, rows, batch, now, unweighted, going_on, settings)
            if patience and state["stopped"][: len(batch)].all():
                tick(last - step)
                break
        if step == last:
            break
        moved, moments = optimiser.step(
            step,
            state["variable"],
            now,
            state,
            lambda variable: objective.at(variable, faces),
            lambda variable: space.enforce(variable, draws),
            draws,
        )
        moved = space.enforce(moved, draws)
        state["variable"] = torch.where(state["stopped"][:, None], state["variable"], moved)
        state |= moments
        tick(1)
    for name, values in state.items():
        rows.state[name][batch] = values[: len(batch)]


def _padded(batch: list[int]) -> list[int]:
    """The rows of a batch, the last one again until there are BATCH."""
    return [batch[min(number, len(batch) - 1)] for number in range(BATCH)]


def _judge(state: dict[str, Tensor], now: Evaluation, step: int, patience: int) -> None:
    """Note the last and the best place, and which searches have stopped improving."""
    here = state["variable"]
    improved = now.loss < state["mark"] - IMPROVEMENT * now.loss.abs()
    better = now.loss < state["best_loss"]
    state["best_loss"] = torch.where(better, now.loss, state["best_loss"])
    state["best_variable"] = torch.where(better[:, None], here, state["best_variable"])
    state["last_loss"], state["last_variable"] = now.loss, here
    state["mark"] = torch.where(improved, now.loss, state["mark"])
    state["better_at"] = torch.where(improved, step, state["better_at"])
    if patience:
        state["stopped"] = state["stopped"] | (step - state["better_at"] >= patience)


@dataclass
class _Record:
    """What is kept of a search on its way: losses, seconds, and pictures of the watched faces."""

    watched: list[int]  # numbers of faces
    begun: float = field(default_factory=time.perf_counter)
    # Of every stage when it began, and the seconds that each of its batches took up to some steps.
    stages: list[tuple[float, list[dict[int, float]]]] = field(default_factory=list)
    batch_begun: float = 0.0
    rows: list[pd.DataFrame] = field(default_factory=list)
    pictures: dict[tuple[int, int], list[tuple[float, np.ndarray]]] = field(default_factory=dict)

    def begin_stage(self) -> None:
        self.stages.append((time.perf_counter() - self.begun, []))

    def begin_batch(self) -> None:
        self.stages[-1][1].append({})
        self.batch_begun = time.perf_counter()

    def wants(self, step: int, settings: dict[str, Any]) -> bool:
        end = step == settings["steps"]
        return end or step % RECORD_EVERY == 0 or step % settings["picture_every"] == 0

    def add(
        self,
        step: int,
        rows: _Rows,
        batch: list[int],
        now: Evaluation,
        unweighted: Tensor,
        going_on: Tensor,
        settings: dict[str, Any],
    ) -> None:
        values = torch.stack([now.loss, now.contextual, now.prior, unweighted], 1)
        values = values[: len(batch)].cpu().numpy()  # waits for the device
        self.stages[-1][1][-1][step] = time.perf_counter() - self.batch_begun
        table = pd.DataFrame(values, columns=["loss", "contextual", "prior", "unweighted"])
        table.insert(0, "face", rows.face[batch])
        table.insert(1, "step", step)
        first = (rows.sample[batch] == 0) & going_on[: len(batch)].cpu().numpy()
        if step % RECORD_EVERY == 0 or step == settings["steps"]:
            self.rows.append(table[first])
        if step % settings["picture_every"] == 0:
            for place in np.flatnonzero(first & np.isin(rows.face[batch], self.watched)):
                shown = self.pictures.setdefault((step, int(rows.face[batch[place]])), [])
                pixels = _pixels(now.faces[place : place + 1])[0]
                shown.append((float(table["loss"][place]), pixels))

    def losses(self, names: list[str]) -> pd.DataFrame:
        """Of every face and recorded step the restart that was best then."""
        table = pd.concat(self.rows, ignore_index=True)
        table = table.sort_values("loss", kind="stable").drop_duplicates(["face", "step"])
        table["face"] = [names[face] for face in table["face"]]
        return table.sort_values(["face", "step"], ignore_index=True)

    def course(self) -> list[tuple[int, float]]:
        """The recorded steps, and the seconds after which the searches of all faces had got there.

        A batch that has stopped early takes no more time.
        """
        course = {}
        for begun, batches in self.stages:
            for step in sorted(set().union(*batches)):
                reached = [[took for at, took in one.items() if at <= step] for one in batches]
                course[step] = begun + sum(max(took, default=0.0) for took in reached)
        return sorted(course.items())

    def frames(self) -> list[np.ndarray]:
        """The watched faces at every recorded step; one that has stopped stays as it was."""
        frames, so_far = [], {}
        for step in sorted({step for step, _ in self.pictures}):
            for face in self.watched:
                if shown := self.pictures.get((step, face)):
                    so_far[face] = min(shown, key=lambda one: one[0])[1]
            frames.append(np.stack([so_far[face] for face in self.watched]))
        return frames


def _generate(objective: Objective, variable: Tensor, compute: Compute) -> np.ndarray:
    """What G makes of at most BATCH rows, in a batch of that shape: uint8 [N, size, size, 3]."""
    padded = torch.cat([variable, variable[-1:].expand(BATCH - len(variable), -1)])
    z, changes = objective.space.z(padded), objective.space.changes(padded)
    with torch.no_grad(), compute.autocast():
        return _pixels(objective.generator(z, changes)[: len(variable)])


def _pixels(faces: Tensor) -> np.ndarray:
    """Float [N, 3, size, size] in [-1, 1] -> uint8 [N, size, size, 3]."""
    return from_unit(faces.detach()).permute(0, 2, 3, 1).contiguous().cpu().numpy()
