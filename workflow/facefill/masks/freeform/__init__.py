"""Strokes of a brush are hidden: the free-form masks of DeepFill v2 (Yu et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from facefill.kinds import declare, setting
from facefill.masks import Hides
from facefill.masks._random import RandomMask

if TYPE_CHECKING:
    import numpy as np


@declare
class Freeform(RandomMask):
    """Hides strokes of a brush, 12 to 36 % of the face."""

    width: Literal["thin", "medium", "thick"] = setting("medium", doc="of the brush's strokes")

    def extent(self, size: int, zoom: float) -> Hides:
        return Hides.PART

    def known(self, name: str, size: int, zoom: float) -> np.ndarray:
        from facefill.masks.freeform.strokes import draw_strokes

        return ~draw_strokes(self.generator(name), self.width, size)
