"""Single pixels are hidden at random (Yeh et al. 2017: 80 %)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare, setting
from facefill.masks._random import ShareMask

if TYPE_CHECKING:
    import numpy as np


@declare
class Random(ShareMask):
    """Hides single pixels, exactly the share `hidden` of them."""

    hidden: float = setting(
        0.8,
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        doc="share of the pixels that are hidden, one by one",
    )

    def known(self, name: str, size: int, zoom: float) -> np.ndarray:
        return self.hide_lowest(self.generator(name).permutation(size * size), size)
