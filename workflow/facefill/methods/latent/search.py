"""The search itself: many restarts side by side, of which ever fewer go on."""

import gc
import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.complete import Completed, Task
from facefill.core.errors import FacefillError
from facefill.core.progress import progress
from facefill.core.tensors import sample_z
from facefill.methods import BATCH
from facefill.methods._walk import places
from facefill.methods.latent import Latent, noise
from facefill.methods.latent.bounds import Bounds
from facefill.methods.latent.loss import Objective
from facefill.methods.latent.noise import Noise
from facefill.methods.latent.optimisers import OPTIMISERS, Optimiser, Problem
from facefill.methods.latent.prediction import Prediction, predict
from facefill.methods.latent.record import Record, to_pixels
from facefill.methods.latent.space import Space
from facefill.methods.latent.state import Searches, SearchState, padded
from facefill.models.dcgan.networks import feature_channels
from facefill.models.dcgan.trained import TrainedDcgan, load_dcgan

log = logging.getLogger("facefill.complete")

LAST_HALVING = 0.4  # share of the steps after which one restart is left


class Stage(NamedTuple):
    """Steps that a number of restarts of each face is searched for."""

    first: int
    end: int  # the step after the last
    restarts: int


def search(settings: Latent, task: Task, watched: list[int]) -> Completed:
    """Search z for every face of a task, and record those with the numbers in `watched`.

    The faces and samples are what G generates from the kept z, `z` is that of the first samples.
    Raises FacefillError when the weights do not fit, or a face has no z with a finite loss.
    """
    dcgan = load_dcgan(*task.models["model"], task.observed.shape[1], task.device)
    log.info("searching %d faces on %s", len(task.names), dcgan.compute)
    if dcgan.compute.device.type == "cuda":
        # The first work on a GPU loads its kernels, for a second or more: that is not searching.
        _warm_up(settings, task, dcgan)
        gc.collect()  # a recorded graph keeps the memory of all that it computes
    record = Record(settings, watched)
    objective, optimiser, searches = _begin(settings, task, dcgan)
    stages = _stages(settings.restarts, settings.steps)
    total = sum(
        (end - first) * math.ceil(len(task.names) * settings.samples * restarts / BATCH)
        for first, end, restarts in stages
    )
    with progress(total, "searching", "step") as bar:
        for stage in stages:
            searches = _best_restarts(searches, stage.restarts, settings.keep)
            descent = _Descent(objective, optimiser, record, stage, bar.update)
            record.begin_stage()
            for rows in searches.batches():
                descent.run(searches, rows)
    variable, loss = searches.state.kept(settings.keep)
    if not torch.isfinite(loss).all():
        raise FacefillError(
            "the search found no z with a finite loss; lower the method's lr, or train its model "
            "anew with lower rates"
        )
    samples = np.concatenate([_generate(objective, variable[rows]) for rows in searches.batches()])
    samples = samples.reshape(len(task.names), settings.samples, *samples.shape[1:])
    kept = variable.unflatten(0, samples.shape[:2])
    z = objective.space.z(variable).reshape(*samples.shape[:2], -1)[:, 0]
    return Completed(
        faces=samples[:, 0],
        samples=samples,
        z=z.cpu().numpy(),
        search=record.losses(task.names),
        progress=[*record.frames(), samples[watched, 0]],
        interpolation=_walk(objective, kept[watched]) if watched else (),
        course=record.course(),
    )


def _begin(
    settings: Latent, task: Task, dcgan: TrainedDcgan
) -> tuple[Objective, Optimiser, Searches]:
    model, side, features = dcgan.settings, settings.features, None
    if side:
        channels = feature_channels(task.observed.shape[1], model["generator_filters"], side)
        features = (channels, side, side)
    space = Space(Bounds(settings.bounds, model["prior"]), model["z_dim"], features)
    prediction = None
    if "encoder" in task.models:
        prediction = predict(task, model, dcgan.compute, BATCH)
    objective = Objective(settings, task, dcgan, space, prediction)
    optimiser = OPTIMISERS[settings.optimizer](settings)
    return objective, optimiser, _starts(task, objective, optimiser, model)


def _warm_up(settings: Latent, task: Task, dcgan: TrainedDcgan) -> None:
    """Begin a search and evaluate its first row, for nothing but the time that it takes."""
    objective, _, searches = _begin(settings, task, dcgan)
    rows = padded([0])
    objective.at(searches.state.variable[rows], torch.tensor(rows, device=dcgan.compute.device))


def _stages(restarts: int, steps: int) -> list[Stage]:
    """The stages of a search: successive halving.

    All restarts get the first steps; the better half of each face's restarts goes on, again and
    again, until one is left after LAST_HALVING of the steps, half as long for the halving before
    (Jamieson and Talwalkar 2016).
    """
    halvings = math.ceil(math.log2(restarts))
    ends = [round(LAST_HALVING * steps / 2**left) for left in reversed(range(halvings))] + [steps]
    stages, first = [], 0
    for end in ends:
        end = max(end, first + 1)  # no restart is given up untried
        stages.append(Stage(first, end, restarts))
        first, restarts = end, math.ceil(restarts / 2)
    return stages


def _starts(
    task: Task, objective: Objective, optimiser: Optimiser, model: dict[str, Any]
) -> Searches:
    """Start every search by its face's name and its numbers: other faces do not matter.

    Changes of a feature map start at those predicted, wherever z starts, or at none. `model` are
    the generator's settings.
    """
    settings, device = objective.settings, objective.compute.device
    counts = len(task.names), settings.samples, settings.restarts
    numbers = list(itertools.product(*map(range, counts)))
    generators = [
        noise.generator(task.seed, task.names[face], sample, restart)
        for face, sample, restart in numbers
    ]
    drawn = [sample_z(1, model["z_dim"], model["prior"], random)[0] for random in generators]
    z = torch.stack(drawn).to(device)
    face, sample, restart = np.array(numbers).T
    prediction: Prediction | None = objective.prediction
    if settings.start == "mean":
        z = torch.zeros_like(z)
    if settings.start == "encoder":
        # The first search of a face starts at the prediction, the others around it.
        first = torch.from_numpy((sample == 0) & (restart == 0)).to(device)
        z = prediction.z[face] + torch.where(first[:, None], 0.0, z)
    changes = None
    if prediction is not None and prediction.changes is not None:
        changes = prediction.changes[face]
    variable = objective.space.start(z, changes)
    state = SearchState.start(variable, optimiser.start(variable))
    return Searches(face, sample, generators, state)


def _best_restarts(searches: Searches, restarts: int, keep: str) -> Searches:
    """The `restarts` searches of least loss of every face and sample, in the same order."""
    _, loss = searches.state.kept(keep)
    table = pd.DataFrame(
        {"face": searches.face, "sample": searches.sample, "loss": loss.cpu().numpy()}
    )
    kept = table.sort_values("loss", kind="stable").groupby(["face", "sample"]).head(restarts)
    return searches.take(sorted(kept.index)) if len(kept) < len(table) else searches


@dataclass(frozen=True)
class _Descent:
    """Takes searches through one stage."""

    objective: Objective
    optimiser: Optimiser
    record: Record
    stage: Stage
    tick: Callable[[int], Any]

    def run(self, searches: Searches, rows: list[int]) -> None:
        """Take the searches `rows`, at most BATCH, through the stage, in place.

        The end of the whole search is judged, too: its z is as good a result as any before.
        """
        objective, space, settings = self.objective, self.objective.space, self.objective.settings
        self.record.begin_batch()
        state = searches.state.take(padded(rows))
        faces = torch.from_numpy(searches.face[padded(rows)]).to(state.variable.device)
        draws = Noise([searches.generators[row] for row in rows], BATCH, faces.device)
        problem = Problem(
            evaluate=lambda variable: objective.at(variable, faces),
            enforce=lambda variable: space.enforce(variable, draws),
            noise=draws,
        )
        # Searches may stop only where one restart of a face is left: a record shows the best one.
        is_last = self.stage.end == settings.steps
        patience = settings.patience if is_last else 0

        for step in range(self.stage.first, self.stage.end + is_last):
            evaluation = problem.evaluate(state.variable)
            active = ~state.stopped
            state.judge(evaluation, step, patience)
            if self.record.wants(step):
                # A search that has stopped is not recorded, while others of its batch go on.
                shown = (searches.sample[rows] == 0) & active[: len(rows)].cpu().numpy()
                unweighted = objective.unweighted(evaluation.faces, faces)
                self.record.add(step, searches.face[rows], shown, evaluation, unweighted)
                if patience and state.stopped[: len(rows)].all():
                    self.tick(settings.steps - step)
                    break
            if step == settings.steps:
                break
            variable, moments = self.optimiser.step(
                step, state.variable, evaluation, state.moments, problem
            )
            state.move(problem.enforce(variable), moments)
            self.tick(1)
        searches.state.put(rows, state)


def _walk(objective: Objective, variable: Tensor) -> np.ndarray:
    """Walk between samples in straight lines, as Radford et al. (2016, section 6.1) do in z.

    `variable` is [N, K, values]: z, and changes of a feature map where these are searched. Returns
    what G generates on the way, uint8 [frames, N, size, size, 3].
    """
    way = [
        torch.lerp(variable[:, a], variable[:, b], share)
        for a, b, share in places(len(variable[0]))
    ]
    faces = [_generate(objective, rows) for rows in torch.cat(way).split(BATCH)]
    return np.concatenate(faces).reshape(len(way), len(variable), *faces[0].shape[1:])


def _generate(objective: Objective, variable: Tensor) -> np.ndarray:
    """What G generates from at most BATCH rows, padded to BATCH: uint8 [N, size, size, 3]."""
    full = torch.cat([variable, variable[-1:].expand(BATCH - len(variable), -1)])
    z, changes = objective.space.z(full), objective.space.changes(full)
    with torch.no_grad(), objective.compute.autocast():
        return to_pixels(objective.generator(z, changes)[: len(variable)])
