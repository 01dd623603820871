"""A method together with its models and targets, for stages that complete faces of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facefill.complete import Completed, Task, lay_in
from facefill.core.masking import Masks
from facefill.kinds import make
from facefill.methods import Method

ModelFiles = tuple[Path, Path]  # weights.safetensors and settings.json


@dataclass(frozen=True)
class Part:
    """A method with the files of its models, by the settings that name them."""

    method: Method
    models: Mapping[str, ModelFiles] = field(default_factory=dict)
    # The methods that it is drawn to, by the settings that name them.
    targets: Mapping[str, "Part"] = field(default_factory=dict)

    @property
    def has_models(self) -> bool:
        return bool(self.models) or any(target.has_models for target in self.targets.values())


def make_part(
    method: str, methods: Mapping[str, dict[str, Any]], files: Callable[[str], ModelFiles]
) -> Part:
    """Make the part of a method that `methods` has, with its targets, the settings of all.

    How many faces and which masks they complete may be missing there. `files` gives those of a
    model by its name.
    """
    made = make("methods", {"faces": None, "masks": None} | methods[method])
    models = {setting: getattr(made, setting) for setting in made.references("models")}
    targets = {setting: getattr(made, setting) for setting in made.references("methods")}
    return Part(
        made,
        {setting: files(model) for setting, model in models.items() if model},
        {setting: make_part(name, methods, files) for setting, name in targets.items() if name},
    )


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
