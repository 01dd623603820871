"""The most probable face, given what is known of it, if faces were normally distributed."""

from typing import ClassVar

from facefill.kinds import declare, make, reference, setting
from facefill.methods import Blend, Method


@declare
class Gaussian(Method):
    """Fills a hole with the conditional mean of a multivariate normal, or with draws from it."""

    model: str = reference(
        "models", "normal", "gaussian", doc="which of `models`, of kind gaussian, it conditions"
    )
    samples: int = setting(
        1,
        "completions per face: the conditional mean, then draws from the conditional normal",
        minimum=1,
    )
    blend: Blend = setting(
        "poisson", "how it is laid into the hole: exact Poisson, as it is, or seamlessClone"
    )

    extra: ClassVar[tuple[str, ...]] = ("samples", "interpolation")
    on_cpu: ClassVar[bool] = True
    mean_first: ClassVar[bool] = True

    def complete(self, task):
        from facefill.complete import Completed
        from facefill.methods.gaussian.condition import complete_faces

        samples, walk = complete_faces(task, self.samples, self.blend)
        return Completed(faces=samples[:, 0], samples=samples, interpolation=walk)

    def work(self, config):
        rank = make("models", config["models"][self.model]).rank
        return rank**2 * 3 * config["align"]["size"] ** 2 / 2

    def check_used(self, key, config):
        """Unlike networks it takes faces of every size."""
