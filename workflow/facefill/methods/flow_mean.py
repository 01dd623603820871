"""The mean of a flow: in one pass, without a draw."""

from facefill.kinds import declare, make, reference, setting
from facefill.methods import BATCH, Blend, Method


@declare
class FlowMean(Method):
    """Fills a hole with the mean of all faces that a trained flow holds possible there."""

    model: str = reference("models", "flow", "flow", doc="which of `models`, of kind flow, fills")
    blend: Blend = setting(
        "poisson", "how it is laid into the hole: exact Poisson, as it is, or seamlessClone"
    )
    mirror: bool = setting(True, "complete the mirrored face, too, and take the mean of both")
    details: float = setting(
        0.25, "share of the mirrored face's fine details that hidden pixels get; 0 = none",
        minimum=0, maximum=1,
    )  # fmt: skip

    def complete(self, task):
        from facefill.complete import Completed
        from facefill.core.blend import blend
        from facefill.methods.flow.details import with_details
        from facefill.methods.flow.fill import means

        observed, known = task.observed, task.masks.known
        faces = blend(self.blend, observed, known, means(task, self.mirror))
        if self.details:
            faces = with_details(faces, known, self.details)
        return Completed(faces=faces)

    def work(self, config):
        model = make("models", config["models"][self.model])
        return BATCH * model.pass_work(config)
