"""Total variation: the completion with the least sum of gradients (Shen and Chan 2002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from facefill.kinds import Config, declare, setting
from facefill.methods import Method

if TYPE_CHECKING:
    import numpy as np


@declare
class Tv(Method):
    """Minimises the total variation of the hole."""

    iterations: int = setting(
        400,
        minimum=1,
        doc="of the primal-dual algorithm (Chambolle and Pock 2011); larger faces need more",
    )

    example: ClassVar[Config] = {"iterations": 60}

    def fill(self, faces: np.ndarray, known: np.ndarray) -> np.ndarray:
        from facefill.methods.tv.fill import minimise_variation

        return minimise_variation(faces, known, self.iterations)
