"""Low rank: hidden pixels follow from a few singular vectors (Candès and Recht 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from facefill.kinds import Config, declare, setting
from facefill.methods import Method

if TYPE_CHECKING:
    import numpy as np


@declare
class LowRank(Method):
    """Completes the face as a matrix of low rank."""

    iterations: int = setting(
        100,
        minimum=2,
        doc="of soft-impute (Mazumder 2010), each with a lower threshold",
    )
    threshold: float = setting(
        0.02,
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        doc="what the last iteration takes off the singular values, as a share of the largest",
    )

    example: ClassVar[Config] = {"iterations": 20}

    def fill(self, faces: np.ndarray, known: np.ndarray) -> np.ndarray:
        from facefill.methods.low_rank.fill import soft_impute

        return soft_impute(faces, known, self.iterations, self.threshold)
