"""Samples of a flow: faces that could be hidden there, instead of the mean of all of them."""

from typing import ClassVar

from facefill.kinds import declare, make, reference, setting
from facefill.methods import BATCH, Blend, Method


@declare
class Flow(Method):
    """Fills a hole with samples: draws of a normal, carried to faces by a trained flow."""

    model: str = reference("models", "flow", "flow", doc="which of `models`, of kind flow, fills")
    samples: int = setting(1, "different completions per face", minimum=1)
    steps: int = setting(8, "passes of the network per completion", minimum=1)
    blend: Blend = setting(
        "poisson", "how it is laid into the hole: exact Poisson, as it is, or seamlessClone"
    )

    extra: ClassVar[tuple[str, ...]] = ("samples", "interpolation")

    def complete(self, task):
        import numpy as np

        from facefill.complete import Completed
        from facefill.core.blend import blend
        from facefill.methods._walk import blend_frames
        from facefill.methods.flow.fill import samples

        observed, known = task.observed, task.masks.known
        drawn, walk = samples(task, self.samples, self.steps)
        blended = [blend(self.blend, observed, known, each) for each in drawn.swapaxes(0, 1)]
        every = np.stack(blended, axis=1)
        walk = blend_frames(self.blend, task, walk)
        return Completed(faces=every[:, 0], samples=every, interpolation=walk)

    def work(self, config):
        model = make("models", config["models"][self.model])
        return BATCH * model.pass_work(config["align"]["size"])
