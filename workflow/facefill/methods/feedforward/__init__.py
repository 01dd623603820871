"""Completion in one forward pass of a completion network."""

from typing import ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, make, reference, setting
from facefill.methods import BATCH, Blend, Method


@declare
class Feedforward(Method):
    """Fills a hole with what a trained completion network makes of the face."""

    model: str = reference("models", "completion", doc="which of `models`, of kind glcic, fills")
    blend: Blend = setting(
        "poisson", "how it is laid into the hole: exact Poisson, as it is, or seamlessClone"
    )
    start: Literal["none", "telea"] = setting(
        "none", "what seamlessClone clones onto: the completion or Telea's fill (Iizuka 2017)"
    )
    mirror: bool = setting(False, "complete the mirrored face, too, and take the mean of both")

    example: ClassVar[Config] = {"model": "model"}

    def complete(self, task):
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

    def work(self, config):
        model = make("models", config["models"][self.model])
        return BATCH * model.completion_work(config["align"]["size"])

    def check(self, key, config):
        if self.start != "none" and self.blend != "seamless":
            raise FacefillError(
                f"config: {key}.start is {self.start!r}, but the blend {self.blend} does not "
                "depend on it; set start to none, or blend to seamless"
            )
