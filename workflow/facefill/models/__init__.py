"""Kinds of model: networks, and how they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from facefill.kinds import Config, Kind

if TYPE_CHECKING:
    import pandas as pd

    from facefill.train.run import Trained
    from facefill.train.task import Training


class Model(Kind):
    """A kind of model.

    `provides` says what methods, models and measures may do with it: "generator" (faces from z),
    "encoder" (z from observed faces) or "completion" (fills holes in one pass).
    """

    provides: ClassVar[str] = ""
    validation_faces = 0  # of the validation split, handed to the training
    # What the report says of losses.png, samples.png and samples.gif.
    captions: ClassVar[dict[str, str]] = {}

    def train(self, training: Training) -> Trained:
        """Train on the faces of `training`. Raises FacefillError when that cannot succeed."""
        raise NotImplementedError

    def draw_losses(self, path: Path, history: pd.DataFrame) -> None:
        """Plot history.csv as a PNG."""
        raise NotImplementedError

    def work(self, config: Config) -> float:
        """Multiply-accumulates of one training step, which decide how many threads it gets."""
        raise NotImplementedError
