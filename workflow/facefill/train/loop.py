"""The training loop: faces on the device, epochs with progress, checkpoints, TensorBoard."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from facefill.core.device import Compute
from facefill.core.errors import FacefillError
from facefill.core.mapped import forget
from facefill.core.progress import progress
from facefill.core.tensors import random_stream
from facefill.train import checkpoint, team
from facefill.train.task import Training

log = logging.getLogger("facefill.train")

COPIED = 4096  # faces at a time
REPORT_EVERY = 20  # steps between two looks at the losses: each waits for the device


class Settings(Protocol):
    """What the loop reads of a model's settings; checkpoints are named after all of them."""

    batch: int
    epochs: int


@dataclass(kw_only=True)
class Trained:
    """The result of a training."""

    networks: dict[str, nn.Module]  # by the names under which they are saved
    history: pd.DataFrame  # one row per epoch, or per value that validation tried
    samples: list[np.ndarray]  # contact sheets: before the training, then after every epoch
    epoch: int  # whose networks these are: the number of the sheet in samples.png
    compute: str  # device, arithmetic and memory layout
    images: int  # trained on in this session; fewer than in all when it was resumed
    events: Path  # TensorBoard's folder
    # What settings.json says beside the settings; of it "warnings" (a list of sentences, empty
    # when the training looks healthy) are shown on the page.
    facts: dict[str, Any] = field(default_factory=dict)
    # Plots in front of those of the history, each drawn onto an axis of Matplotlib.
    drawings: list[Callable[[Any], None]] = field(default_factory=list)


class TrainingLoop(ABC):
    """A training in progress: the split as one array on the device, a checkpoint per epoch."""

    losses: tuple[str, ...]  # what a step of this epoch returns, by columns of history.csv
    remedy: ClassVar[str]  # for losses that are no longer numbers

    def __init__(self, training: Training, settings: Settings, compute: Compute):
        if len(training.faces) < settings.batch:
            raise FacefillError(
                f"the train split holds {len(training.faces)} faces, fewer than one batch of "
                f"{settings.batch}; lower the model's batch or add photos"
            )
        self.settings, self.seed, self.compute = settings, training.seed, compute
        self.faces = self.on_device(training.faces)
        self.epoch, self.steps, self.images = 0, 0, 0
        self.history: list[dict[str, float | None]] = []
        self.sheets: list[np.ndarray] = []
        self.changes: list[str] = []  # of the arithmetic, in words
        torch.manual_seed(training.seed)  # initial weights

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Networks and optimisers by name, for checkpoints."""

    def batches(self) -> int:
        """Steps in an epoch."""
        return len(self.faces) // self.settings.batch

    @abstractmethod
    def train_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        """Make the steps of an epoch, drawing from `random` alone; each yields its losses.

        A process of a team computes its rows of each batch (facefill.train.team), and yields losses
        whose mean over the processes is the whole batch's.
        """

    @abstractmethod
    def evaluate(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """After an epoch: a contact sheet, and what history.csv says beside the losses."""

    @abstractmethod
    def finish(self, events: Path) -> Trained:
        """After the last epoch: what is kept. `events` is TensorBoard's folder."""

    def on_device(self, faces: np.ndarray) -> Tensor:
        """uint8 [N, size, size, 3] -> [N, 3, size, size] on the device: a batch is one indexing."""
        count, height, width, channels = faces.shape
        copied = torch.empty(
            (count, channels, height, width),
            dtype=torch.uint8,
            device=self.compute.device,
            memory_format=self.compute.memory_format,
        )
        for start in range(0, count, COPIED):  # the whole of it is in memory once
            part = torch.from_numpy(np.array(faces[start : start + COPIED]))  # no file in the loop
            copied[start : start + COPIED] = part.to(copied.device).permute(0, 3, 1, 2)
            forget(faces)
        return copied

    def mirror(self, faces: Tensor, chosen: Tensor) -> Tensor:
        """Mirror those of `faces` [N, 3, size, size] where `chosen`, bool [N], is True."""
        chosen = chosen.to(self.compute.device)[:, None, None, None]
        return torch.where(chosen, faces.flip(3), faces)

    def stream(self, number: int) -> torch.Generator:
        """The random numbers of one purpose: a resumed training needs no other state."""
        return random_stream(self.seed, number)

    def result(self, events: Path, **fields: Any) -> Trained:
        """What `finish` returns: `fields` are networks, history, facts, and the epoch kept."""
        shared = {"samples": self.sheets, "images": self.images, "epoch": self.epoch}
        return Trained(**shared | fields, compute=str(self.compute), events=events)

    # -- checkpoints ---------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        state = {name: part.state_dict() for name, part in self.parts().items()}
        state |= {"epoch": self.epoch, "steps": self.steps, "history": self.history}
        state |= {"machine": checkpoint.machine(self.compute), "changes": self.changes}
        return state | {"sheets": torch.from_numpy(np.stack(self.sheets))}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.steps, self.history = state["epoch"], state["steps"], state["history"]
        self.changes = state["changes"]
        self.sheets = list(state["sheets"].numpy())

    # -- the loop ------------------------------------------------------------------------------

    def epochs(self) -> Iterator[int]:
        """Train the epochs that are left; after each, history and samples have grown by one."""
        batches, epochs = self.batches(), self.settings.epochs
        with progress(epochs * batches, "training", "step") as bar:
            bar.update(self.steps)
            while self.epoch < epochs:
                start, names = time.perf_counter(), self.losses
                sums = torch.zeros(len(names), device=self.compute.device)
                random = self.stream(self.epoch + 1)
                for number, losses in enumerate(self.train_epoch(random), 1):
                    sums += losses
                    self.steps += 1
                    bar.update()
                    if number % REPORT_EVERY == 0 or number == batches:
                        rate = number * self.settings.batch / (time.perf_counter() - start)
                        means = zip(names, team.mean(sums / number).tolist(), strict=True)
                        text = ", ".join(f"{name} {mean:.3f}" for name, mean in means)
                        text = f"epoch {self.epoch + 1}/{epochs}, {text}, {rate:.0f} images/s"
                        bar.set_postfix_str(text, refresh=False)
                self.epoch += 1
                self.images += batches * self.settings.batch
                means = team.mean(sums / batches).tolist()
                self._record(dict(zip(names, means, strict=True)))
                yield self.epoch

    def _record(self, means: dict[str, float]) -> None:
        if not all(np.isfinite(list(means.values()))):
            raise FacefillError(
                f"the losses are no longer numbers after epoch {self.epoch}; {self.remedy}"
            )
        sheet, measured = self.evaluate()
        self.sheets.append(sheet)
        row = {"epoch": self.epoch, "step": self.steps} | means | measured
        row = {key: None if value is None else round(value, 6) for key, value in row.items()}
        self.history.append(row)
        log.info("epoch %d: %s", self.epoch, self.history[-1])


def run_training(begin: Callable[[], TrainingLoop], training: Training) -> Trained:
    """Train what `begin` returns to its last epoch, from a checkpoint where one fits.

    `training.checkpoints` holds a folder per training, named by a digest of what is trained on what
    (`checkpoint_file`). Raises FacefillError when there are fewer faces than a batch or the losses
    are no longer numbers.
    """
    loop = begin()
    file = checkpoint.checkpoint_file(training, loop.settings)
    goes_on = False
    if team.rank() == 0 and file.exists():
        goes_on = checkpoint.resume(file, loop)
        if not goes_on:
            loop = begin()  # without what the checkpoint has spoilt
    if team.agree(goes_on) and team.rank() > 0:
        loop.load_state(checkpoint.load(file))
    log.info("training on %s; checkpoints in %s", loop.compute, file.parent)
    folder = file.parent / "events"
    if team.rank() == 0:
        _train(loop, file, folder)
    else:
        for _ in loop.epochs():
            pass  # rank 0 writes
    trained = loop.finish(folder)
    for warning in trained.facts.get("warnings", []):
        log.warning("%s", warning)
    if loop.changes:  # said when the training went on
        trained.facts["warnings"] = [*loop.changes, *trained.facts.get("warnings", [])]
    return trained


def _train(loop: TrainingLoop, file: Path, folder: Path) -> None:
    """Train the epochs that are left; each ends with a checkpoint, in `file`."""
    # Events of later epochs, from before a kill, are dropped: they will be written again.
    with SummaryWriter(str(folder), purge_step=loop.epoch + 1) as events:
        for epoch in loop.epochs():
            for name, value in loop.history[-1].items():
                if value is not None:
                    events.add_scalar(name, value, epoch)
            events.add_image("samples", loop.sheets[-1], epoch, dataformats="HWC")
            checkpoint.save(file, loop.state())
