"""Samples of a flow: faces that could be hidden there, instead of the mean of all of them."""

from typing import ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import declare, kind_of, make, reference, setting
from facefill.methods import BATCH, Blend, Method


@declare
class Flow(Method):
    """Fills a hole with samples: errors that its guess may have, carried to faces by a flow."""

    model: str = reference("models", "flow", "flow", doc="which of `models`, of kind flow, fills")
    samples: int = setting(1, "different completions per face", minimum=1)
    steps: int = setting(4, "passes of the network per completion", minimum=1)
    draws: Literal["analogs", "normal"] = setting(
        "analogs", "it begins with errors of the guess: for training faces that look alike as far "
        "as is known, or for draws of the normal; by a bundle, which has no training faces, these",
    )  # fmt: skip
    temperature: float = setting(
        0.6, "by which the long waves of these errors are multiplied; below 1 samples are nearer "
        "to the mean, and vary less than they should", above=0, maximum=1,
    )  # fmt: skip
    blend: Blend = setting(
        "poisson", "how it is laid into the hole: exact Poisson, as it is, or seamlessClone"
    )

    extra: ClassVar[tuple[str, ...]] = ("samples", "interpolation")
    needs_train: ClassVar[bool] = True

    def check_used(self, key, config):
        super().check_used(key, config)
        kind = kind_of("models", config["models"][self.model])
        if not kind.has_samples:
            raise FacefillError(
                f"config: {key}.model is {self.model!r}, a model of kind {kind.kind}, which has no "
                "samples; name the flow that it began with"
            )

    def complete(self, task):
        import numpy as np

        from facefill.complete import Completed
        from facefill.core.blend import blend
        from facefill.methods._walk import blend_frames
        from facefill.methods.flow.fill import samples

        observed, known = task.observed, task.masks.known
        drawn, walk = samples(task, self)
        blended = [blend(self.blend, observed, known, each) for each in drawn.swapaxes(0, 1)]
        every = np.stack(blended, axis=1)
        walk = blend_frames(self.blend, task, walk)
        return Completed(faces=every[:, 0], samples=every, interpolation=walk)

    def work(self, config):
        model = make("models", config["models"][self.model])
        return BATCH * model.pass_work(config)
