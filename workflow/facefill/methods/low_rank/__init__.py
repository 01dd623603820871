"""Low rank: hidden pixels follow from a few singular vectors (Candès and Recht 2009)."""

from typing import ClassVar

from facefill.kinds import Config, declare, setting
from facefill.methods import Method


@declare
class LowRank(Method):
    """Completes the face as a matrix of low rank."""

    iterations: int = setting(100, "of soft-impute (Mazumder 2010), thresholds falling", minimum=2)
    threshold: float = setting(
        0.02, "the last threshold, as a share of the largest singular value", above=0, below=1
    )

    example: ClassVar[Config] = {"iterations": 20}

    def fill(self, faces, known):
        from facefill.methods.low_rank.fill import soft_impute

        return soft_impute(faces, known, self.iterations, self.threshold)
