"""Low rank: hidden pixels follow from a few singular vectors (Candès and Recht 2009)."""

from typing import ClassVar

from facefill.kinds import Config, declare, setting
from facefill.methods import Method


@declare
class LowRank(Method):
    """Completes the face as a matrix of low rank."""

    iterations: int = setting(100, minimum=2, doc="of soft-impute, each with a lower threshold")
    threshold: float = setting(
        0.02, exclusiveMinimum=0, exclusiveMaximum=1, doc="last threshold as a share of the first"
    )

    example: ClassVar[Config] = {"iterations": 20}

    def fill(self, faces, known):
        from facefill.methods.low_rank.fill import soft_impute

        return soft_impute(faces, known, self.iterations, self.threshold)
