"""Kinds of method: ways to fill a hole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, Kind, declare, setting

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from facefill.complete import Completed, Task

# How `facefill.core.blend` lays a generated face into the hole.
Blend = Literal["poisson", "none", "seamless"]
# Faces, or searches, that a network gets at a time, the last batch padded: kernels chosen for one
# shape round in one way, so that a face's result does not depend on how many others there are.
BATCH = 64

# Settings that say for which faces and masks a method is asked.
ASKED = ("faces", "masks")
# Files that some methods leave beside their completions.
EXTRA = {
    "progress": "progress.gif",  # the faces on their way
    "search": "search.csv",  # face, step, loss, contextual, prior, unweighted
    "z": "z.npy",  # the z of each face's first completion
    "samples": "samples.npy",  # uint8 [N, K, size, size, 3], several completions of each face
    "interpolation": "interpolation.gif",  # a walk between them; of one completion a still
}


@declare
class Method(Kind):
    """A kind of method. Override `fill`, or `complete` where `fill` is not given enough."""

    faces: int | None = setting(
        None, "test faces it completes, at most; null = compare.faces", minimum=1
    )
    masks: tuple[str, ...] | None = setting(
        None, "masks that it is compared under; null = compare.masks", minItems=1, uniqueItems=True
    )

    extra: ClassVar[tuple[str, ...]] = ()  # keys of EXTRA
    on_cpu: ClassVar[bool] = False  # though it uses a model: takes no GPU slot
    mean_first: ClassVar[bool] = False  # the first of several samples is the mean, no draw
    needs_train: ClassVar[bool] = False  # whether the task holds the training split

    def fill(self, faces: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Fill `faces`, uint8 [N, size, size, 3], black where `known`, bool [N, size, size], is 0.

        Every face has known pixels and a hole. Known pixels of the result do not count.
        """
        raise NotImplementedError

    def complete(self, task: Task) -> Completed:
        """Complete the faces of a task: of each face with a hole, what `fill` makes of it."""
        from facefill.complete import fill_holes

        return fill_holes(self.fill, task)

    def content(self, sha256: Callable[[Path | str], str]) -> dict[str, Any]:
        """What decides its completions, as its settings: `sha256` gives a file's checksum.

        How many faces it completes, and under which masks, is not for the single completion.
        """
        return {name: getattr(self, name) for name in self.settings() if name not in ASKED}

    def work(self, config: Config) -> float:
        """Multiply-accumulates of one step of its networks; 0 = none. Decides its threads."""
        return 0.0

    def check_used(self, key: str, config: Config) -> None:
        size = config["align"]["size"]
        models = [getattr(self, name) for name in self.references("models")]
        if any(models) and size & (size - 1):
            raise FacefillError(
                f"config: align.size is {size}, expected a power of two (32, 64, 128, ...), since "
                f"the method compared uses the model {models[0]!r}"
            )
