"""Completion in one forward pass of a completion network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, make, reference, setting
from facefill.methods import BATCH, Blend, Method

if TYPE_CHECKING:
    from facefill.complete import Completed, Task


@declare
class Feedforward(Method):
    """Fills a hole with what a trained completion network makes of the face."""

    model: str = reference(
        "models", "completion", doc="which of `models`, of kind glcic, completes"
    )
    blend: Blend = setting(
        "poisson",
        doc="how the completion is laid into the hole - exact Poisson blending, as it is, or "
        "OpenCV's seamlessClone",
    )
    start: Literal["none", "telea"] = setting(
        "none",
        doc="what seamlessClone clones onto, the completion itself or Telea's fill (Iizuka 2017); "
        "the exact solution of poisson does not depend on it",
    )
    mirror: bool = setting(False, doc="complete the mirrored face, too, and take the mean of both")

    example: ClassVar[Config] = {"model": "model"}

    def complete(self, task: Task) -> Completed:
        from facefill.complete import Completed
        from facefill.core.blend import blend
        from facefill.methods.feedforward.fill import complete_faces
        from facefill.methods.telea import Telea

        observed, known = task.observed, task.masks.known
        completed = complete_faces(task, self.mirror)
        start = None
        if self.start == "telea":  # the radius is that of Iizuka et al.'s program
            start = Telea(radius=1).fill(observed * known[..., None], known)
        return Completed(faces=blend(self.blend, observed, known, completed, start))

    def work(self, config: Config) -> float:
        model = make("models", config["models"][self.model])
        return BATCH * model.completion_work(config["align"]["size"])

    def check(self, key: str, config: Config) -> None:
        if self.start != "none" and self.blend != "seamless":
            raise FacefillError(
                f"config: {key}.start is {self.start!r}, but the blend {self.blend} does not "
                "depend on it; set start to none, or blend to seamless"
            )
