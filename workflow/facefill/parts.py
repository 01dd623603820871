"""A method together with its models and targets, for stages that complete faces of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facefill.complete import Completed, Task, lay_in
from facefill.core.masking import Masks
from facefill.methods import Method


@dataclass(frozen=True)
class Part:
    """A method with the files of its models, by the settings that name them."""

    method: Method
    models: Mapping[str, tuple[Path, Path]] = field(default_factory=dict)
    # The methods that it is drawn to, by the settings that name them.
    targets: Mapping[str, "Part"] = field(default_factory=dict)

    @property
    def has_models(self) -> bool:
        return bool(self.models) or any(target.has_models for target in self.targets.values())


class Faces(NamedTuple):
    """What may be known of some faces, as of `Task`."""

    names: list[str]
    observed: np.ndarray  # uint8 [N, size, size, 3]
    masks: Masks


def complete(
    part: Part, faces: Faces, *, train: np.ndarray | None, seed: int, device: str
) -> Completed:
    """Complete faces by a method, first by those that it is drawn to.

    `train` is the training split, uint8 [N, size, size, 3], where a method needs it. Raises
    FacefillError as the methods do.
    """
    general = {"train": train, "seed": seed, "device": device}
    drawn_to = {
        setting: lay_in(faces.observed, faces.masks.known, complete(each, faces, **general).faces)
        for setting, each in part.targets.items()
    }
    task = Task(**faces._asdict(), models=dict(part.models), targets=drawn_to, **general)
    return part.method.complete(task)
