"""What is recorded during a search: losses, seconds, and pictures of some faces."""

import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from facefill.core.tensors import from_unit, to_pictures
from facefill.methods.latent import Latent
from facefill.methods.latent.loss import Evaluation

RECORD_EVERY = 10  # steps between rows of search.csv


@dataclass
class Record:
    """Losses of all faces, and pictures of the `watched` ones, by step."""

    settings: Latent
    watched: list[int]  # numbers of faces
    begun: float = field(default_factory=time.perf_counter)
    # Of every stage its begin, and the seconds that each of its batches took up to some steps.
    stages: list[tuple[float, list[dict[int, float]]]] = field(default_factory=list)
    batch_begun: float = 0.0
    tables: list[pd.DataFrame] = field(default_factory=list)
    # By step and face: loss and picture of the first sample's restarts.
    pictures: dict[tuple[int, int], list[tuple[float, np.ndarray]]] = field(default_factory=dict)

    def begin_stage(self) -> None:
        self.stages.append((time.perf_counter() - self.begun, []))

    def begin_batch(self) -> None:
        self.stages[-1][1].append({})
        self.batch_begun = time.perf_counter()

    def wants(self, step: int) -> bool:
        return self._wants_losses(step) or step % self.settings.picture_every == 0

    def _wants_losses(self, step: int) -> bool:
        return step % RECORD_EVERY == 0 or step == self.settings.steps

    def add(
        self,
        step: int,
        faces: np.ndarray,
        shown: np.ndarray,
        evaluation: Evaluation,
        unweighted: Tensor,
    ) -> None:
        """Record a batch at `step`: of its rows, whose `faces` are given, those `shown` (bool)."""
        values = torch.stack(
            [evaluation.loss, evaluation.contextual, evaluation.prior, unweighted], 1
        )
        values = values[: len(faces)].cpu().numpy()  # waits for the device
        self.stages[-1][1][-1][step] = time.perf_counter() - self.batch_begun
        table = pd.DataFrame(values, columns=["loss", "contextual", "prior", "unweighted"])
        table.insert(0, "face", faces)
        table.insert(1, "step", step)
        if self._wants_losses(step):
            self.tables.append(table[shown])
        if step % self.settings.picture_every == 0:
            for row in np.flatnonzero(shown & np.isin(faces, self.watched)):
                picture = to_pixels(evaluation.faces[row : row + 1])[0]
                pictures = self.pictures.setdefault((step, int(faces[row])), [])
                pictures.append((float(table["loss"][row]), picture))

    def losses(self, names: list[str]) -> pd.DataFrame:
        """Of every face and recorded step the restart that was best then."""
        table = pd.concat(self.tables, ignore_index=True)
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
                reached = (
                    max((seconds for at, seconds in batch.items() if at <= step), default=0.0)
                    for batch in batches
                )
                course[step] = begun + sum(reached)
        return sorted(course.items())

    def frames(self) -> list[np.ndarray]:
        """The watched faces at every recorded step; one that has stopped stays as it was."""
        frames, latest = [], {}
        for step in sorted({step for step, _ in self.pictures}):
            for face in self.watched:
                if pictures := self.pictures.get((step, face)):
                    latest[face] = min(pictures, key=lambda picture: picture[0])[1]
            frames.append(np.stack([latest[face] for face in self.watched]))
        return frames


def to_pixels(faces: Tensor) -> np.ndarray:
    """Float [N, 3, size, size] in [-1, 1] -> uint8 [N, size, size, 3]."""
    return to_pictures(from_unit(faces.detach()))
