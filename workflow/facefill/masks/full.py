"""Nothing is hidden: shows how well a method reproduces what it sees (Amos 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from facefill.kinds import declare
from facefill.masks import Hides, Mask

if TYPE_CHECKING:
    import numpy as np


@declare
class Full(Mask):
    """Hides nothing."""

    learnable: ClassVar[bool] = False
    extents: ClassVar[tuple[Hides, ...]] = (Hides.NOTHING,)

    def extent(self, size: int, zoom: float) -> Hides:
        return Hides.NOTHING

    def known(self, name: str, size: int, zoom: float) -> np.ndarray:
        import numpy as np

        return np.ones((size, size), bool)
