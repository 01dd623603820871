"""Kinds of model: networks, and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from facefill.core.errors import FacefillError
from facefill.kinds import Config, Kind, declare, setting

if TYPE_CHECKING:
    from torch import nn

    from facefill.core.device import Compute
    from facefill.train.loop import Trained
    from facefill.train.task import Training

FORWARD_AND_BACKWARD = 3  # cost of a gradient, in units of the forward pass


@dataclass(frozen=True)
class Plot:
    """One of the plots of losses.png, over the epochs or another column of history.csv."""

    title: str
    lines: dict[str, str]  # labels by column of history.csv, "" for none
    limits: tuple[float | None, float | None] | None = None  # of the y axis
    level: float | None = None  # of a dotted line
    x: str = "epoch"  # the column that it is drawn over


@declare
class Model(Kind):
    """A kind of model.

    `provides` says what methods, models and measures may do with it: "generator" (faces from z),
    "encoder" (z from observed faces), "completion" (fills holes in one pass), "normal" (mean and
    covariance of faces: what is hidden has a normal distribution given what is known) or "flow"
    (means, and where it `has_samples` samples; facefill.models.flow.trained.load_flow loads it).
    """

    seeds: tuple[int, ...] | None = setting(
        None,
        "of its trainings: the first one is shown, the others say how far another training may "
        "lie from it; null = one, by the seed of the configuration",
        minItems=1,
        uniqueItems=True,
        schema={"type": ["array", "null"], "items": {"type": "integer", "minimum": 0}},
    )

    provides: ClassVar[str] = ""
    on_cpu: ClassVar[bool] = False  # computes on the CPU whatever `device` says: takes no GPU slot
    has_samples: ClassVar[bool] = False  # of what provides "flow"
    validation_faces = 0  # of the validation split, handed to the training
    # What the report says of losses.png, samples.png and samples.gif: "losses", "samples", "gif".
    captions: ClassVar[dict[str, str]] = {}
    plots: ClassVar[tuple[Plot, ...]]  # of losses.png

    def train(self, training: Training) -> Trained:
        """Train on the faces of `training`. Raises FacefillError when that cannot succeed."""
        raise NotImplementedError

    def check_team(self, key: str, processes: int) -> None:
        """Refuse so many processes for one training (facefill.train.team), where it has batches."""
        if self.batch % processes:
            fewer = max(n for n in range(1, processes) if self.batch % n == 0)
            raise FacefillError(
                f"config: {key}.batch is {self.batch}, which {processes} processes cannot share "
                f"evenly; set it to a multiple of {processes}, or the resource gpu of its rule to "
                f"{fewer}"
            )

    def work(self, config: Config) -> float:
        """Multiply-accumulates of one training step, which decide how many threads it gets."""
        raise NotImplementedError

    def generator_work(self, size: int) -> float:
        """Multiply-accumulates of the generator for one face of `size` pixels, forward.

        Needed where the model provides "generator", as is `discriminator_work`.
        """
        raise NotImplementedError

    def discriminator_work(self, size: int) -> float:
        """Multiply-accumulates of the discriminator for one face of `size` pixels, forward."""
        raise NotImplementedError

    def pass_work(self, config: Config) -> float:
        """Multiply-accumulates of one pass for one face. Needed where it provides "flow"."""
        raise NotImplementedError

    def completion_work(self, size: int) -> float:
        """Multiply-accumulates of the completion of one face of `size` pixels, forward.

        Needed where the model provides "completion", as is `load_completion`.
        """
        raise NotImplementedError

    @classmethod
    def load_completion(
        cls, weights: Path, settings_file: Path, size: int, device_name: str
    ) -> tuple[nn.Module, Compute]:
        """Load a trained network that fills holes in faces of `size` pixels, ready for inference.

        It takes the two tensors of facefill.core.observed and returns float [N, 3, size, size] in
        [-1, 1], of which only the hole counts. Raises FacefillError when the files are damaged or
        do not belong together.
        """
        raise NotImplementedError
