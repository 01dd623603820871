"""Where searches side by side stand."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from facefill.methods import BATCH
from facefill.methods.latent.loss import Evaluation
from facefill.methods.latent.optimisers import Moments

IMPROVEMENT = 0.001  # share of its loss by which a search must improve in `patience` steps


@dataclass
class SearchState:
    """Variables and losses, a row per search. No two fields share memory: `put` writes in place."""

    moments: Moments  # of the optimiser
    variable: Tensor
    last_variable: Tensor  # the one that was judged last, and its loss
    last_loss: Tensor
    best_variable: Tensor
    best_loss: Tensor
    reference_loss: Tensor  # by `IMPROVEMENT` below this a loss counts as progress
    improved_at: Tensor  # the step of the last progress
    stopped: Tensor  # bool: no progress for `patience` steps

    @classmethod
    def start(cls, variable: Tensor, moments: Moments) -> "SearchState":
        infinite = torch.full((len(variable),), math.inf, device=variable.device)
        zeros = torch.zeros(len(variable), dtype=torch.long, device=variable.device)
        return cls(
            moments=moments,
            variable=variable,
            last_variable=variable.clone(),
            last_loss=infinite,
            best_variable=variable.clone(),
            best_loss=infinite.clone(),
            reference_loss=infinite.clone(),
            improved_at=zeros,
            stopped=zeros.bool(),
        )

    def take(self, rows: list[int]) -> "SearchState":
        """Copy `rows`."""
        moments = {name: values[rows] for name, values in self.moments.items()}
        return SearchState(moments, *(values[rows] for values in self._by_row()))

    def put(self, rows: list[int], state: "SearchState") -> None:
        """Overwrite `rows` with the first ones of `state`, which may be padded."""
        for name, values in self.moments.items():
            values[rows] = state.moments[name][: len(rows)]
        for values, changed in zip(self._by_row(), state._by_row(), strict=True):
            values[rows] = changed[: len(rows)]

    def _by_row(self) -> list[Tensor]:
        """All fields but the moments, in their order."""
        return [getattr(self, field.name) for field in fields(self)[1:]]

    def kept(self, keep: str) -> tuple[Tensor, Tensor]:
        """The variables that complete, the "best" or the "last" ones, and their losses."""
        if keep == "best":
            return self.best_variable, self.best_loss
        return self.last_variable, self.last_loss

    def judge(self, evaluation: Evaluation, step: int, patience: int) -> None:
        """Note the last and the best variables, and which searches have stopped improving."""
        loss = evaluation.loss
        improved = loss < self.reference_loss - IMPROVEMENT * loss.abs()
        better = loss < self.best_loss
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.best_variable = torch.where(better[:, None], self.variable, self.best_variable)
        self.last_loss, self.last_variable = loss, self.variable
        self.reference_loss = torch.where(improved, loss, self.reference_loss)
        self.improved_at = torch.where(improved, step, self.improved_at)
        if patience:
            self.stopped = self.stopped | (step - self.improved_at >= patience)

    def move(self, variable: Tensor, moments: Moments) -> None:
        """Take a step, except where a search has stopped."""
        self.variable = torch.where(self.stopped[:, None], self.variable, variable)
        self.moments = moments


@dataclass
class Searches:
    """Searches side by side: faces x samples x restarts."""

    face: np.ndarray  # int [R]
    sample: np.ndarray  # int [R]
    generators: list[torch.Generator]
    state: SearchState

    def take(self, rows: list[int]) -> "Searches":
        """Copy `rows`; they go on with the same generators."""
        generators = [self.generators[row] for row in rows]
        return Searches(self.face[rows], self.sample[rows], generators, self.state.take(rows))

    def batches(self) -> Iterator[list[int]]:
        """The numbers of the rows in pieces of at most BATCH."""
        rows = range(len(self.face))
        for start in range(0, len(rows), BATCH):
            yield list(rows[start : start + BATCH])


def padded(rows: list[int]) -> list[int]:
    """The rows of a batch, the last one repeated until there are BATCH."""
    return [rows[min(number, len(rows) - 1)] for number in range(BATCH)]
