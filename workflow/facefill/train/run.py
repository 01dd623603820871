"""What every training shares: faces on the device, epochs with progress, checkpoints, events."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from facefill.core.device import Compute
from facefill.core.errors import FacefillError
from facefill.core.progress import progress
from facefill.train import checkpoint
from facefill.core.tensors import random_stream

log = logging.getLogger("facefill.train")


class ModelSettings:
    """What the settings of every kind of model have; they are frozen dataclasses."""

    epochs: int
    batch: int

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Self:
        """Take the fields of the class from a model's settings, lists as tuples."""
        values = {field.name: settings[field.name] for field in fields(cls)}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


@dataclass
class Trained:
    """What a training leaves behind."""

    networks: dict[str, nn.Module]  # by the names under which they are saved
    history: pd.DataFrame  # one row per epoch
    samples: list[np.ndarray]  # contact sheets: before, then after every epoch
    epoch: int  # the one whose networks these are
    compute: str
    images: int  # seen in this session; fewer than in all when it was resumed
    events: Path  # TensorBoard's folder
    warnings: list[str] = field(default_factory=list)  # a training that looks sick, in plain words


class Run(ABC):
    """A training in progress: the split as one array on the device, a checkpoint per epoch."""

    losses: tuple[str, ...]  # what a step of this epoch returns, in the words of history.csv
    remedy: ClassVar[str]  # for losses that are no numbers any more

    def __init__(self, faces: np.ndarray, settings: ModelSettings, seed: int, compute: Compute):
        if len(faces) < settings.batch:
            raise FacefillError(
                f"the train split holds {len(faces)} faces, fewer than one batch of "
                f"{settings.batch}; lower the model's batch or add photos"
            )
        self.settings, self.seed, self.compute = settings, seed, compute
        self.faces = self.on_device(faces)
        self.epoch, self.steps, self.images = 0, 0, 0
        self.history: list[dict[str, float | None]] = []
        self.sheets: list[np.ndarray] = []

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Networks and optimisers by name."""

    @abstractmethod
    def batches(self) -> int:
        """Steps in an epoch."""

    @abstractmethod
    def one_epoch(self, random: torch.Generator) -> Iterator[Tensor]:
        """Make the steps of an epoch, drawing from `random` alone; each yields its losses."""

    @abstractmethod
    def look(self) -> tuple[np.ndarray, dict[str, float | None]]:
        """After an epoch: a contact sheet, and what history.csv says beside the losses."""

    def on_device(self, faces: np.ndarray) -> Tensor:
        """uint8 [N, 3, size, size] in the layout of the networks: a batch is one indexing."""
        copied = torch.from_numpy(np.array(faces)).to(self.compute.device)  # no files in the loop
        return copied.permute(0, 3, 1, 2).contiguous(memory_format=self.compute.memory_format)

    def stream(self, number: int) -> torch.Generator:
        """The random numbers of one purpose: a resumed training needs no other state."""
        return random_stream(self.seed, number)

    # -- checkpoints ---------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        state = {name: part.state_dict() for name, part in self.parts().items()}
        state |= {"epoch": self.epoch, "steps": self.steps, "history": self.history}
        return state | {"sheets": torch.from_numpy(np.stack(self.sheets))}

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.steps, self.history = state["epoch"], state["steps"], state["history"]
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
                for number, losses in enumerate(self.one_epoch(self.stream(self.epoch + 1)), 1):
                    sums += losses
                    self.steps += 1
                    bar.update()
                    if number % 20 == 0 or number == batches:  # each look waits for the device
                        rate = number * self.settings.batch / (time.perf_counter() - start)
                        means = zip(names, (sums / number).tolist(), strict=True)
                        text = ", ".join(f"{name} {mean:.3f}" for name, mean in means)
                        bar.set_postfix_str(
                            f"epoch {self.epoch + 1}/{epochs}, {text}, {rate:.0f} images/s",
                            refresh=False,
                        )
                self.epoch += 1
                self.images += batches * self.settings.batch
                self._record(dict(zip(names, (sums / batches).tolist(), strict=True)))
                yield self.epoch

    def _record(self, means: dict[str, float]) -> None:
        if not all(np.isfinite(list(means.values()))):
            raise FacefillError(
                f"the losses are no longer numbers after epoch {self.epoch}; {self.remedy}"
            )
        sheet, measured = self.look()
        self.sheets.append(sheet)
        row = {"epoch": self.epoch, "step": self.steps} | means | measured
        self.history.append(
            {name: round(value, 6) if value is not None else None for name, value in row.items()}
        )
        log.info("epoch %d: %s", self.epoch, self.history[-1])


AnyRun = TypeVar("AnyRun", bound=Run)


def carry_out(make: Callable[[], AnyRun], workdir: Path, *fingerprints: str) -> tuple[AnyRun, Path]:
    """Train what `make` begins to its last epoch; return it and TensorBoard's folder.

    Goes on from a checkpoint where one fits. `workdir` holds a folder per training, named by a
    digest of everything that determines the result: the settings, the seed, the device, PyTorch's
    version and `fingerprints` (of data and code).
    """
    run = make()
    file = checkpoint.checkpoint_file(workdir, run.settings, run.seed, run.compute, *fingerprints)
    if file.exists() and not checkpoint.resume(file, run):
        run = make()  # without what the checkpoint has spoilt
    log.info("training on %s; checkpoints in %s", run.compute, file.parent)
    folder = file.parent / "events"
    # What was noted of later epochs before a kill will be noted again.
    with SummaryWriter(str(folder), purge_step=run.epoch + 1) as events:
        for epoch in run.epochs():
            for name, value in run.history[-1].items():
                if value is not None:
                    events.add_scalar(name, value, epoch)
            events.add_image("samples", run.sheets[-1], epoch, dataformats="HWC")
            checkpoint.save(file, run.state())
    return run, folder
