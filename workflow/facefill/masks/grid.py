"""Single pixels on a grid are known (Amos 2016, step 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare, setting
from facefill.masks import Hides, Mask

if TYPE_CHECKING:
    import numpy as np


@declare
class Grid(Mask):
    """Hides all but every step-th pixel of every step-th row."""

    step: int = setting(
        4, minimum=2, doc="only every so-manyth pixel of every so-manyth row is known"
    )

    def extent(self, size: int, zoom: float) -> Hides:
        return Hides.PART

    def known(self, name: str, size: int, zoom: float) -> np.ndarray:
        import numpy as np

        known = np.zeros((size, size), bool)
        known[:: self.step, :: self.step] = True
        return known
