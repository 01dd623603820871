"""Strokes of a brush are hidden: the free-form masks of DeepFill v2 (Yu et al. 2019)."""

from typing import Literal

from facefill.kinds import declare, setting
from facefill.masks._random import RandomMask


@declare
class Freeform(RandomMask):
    """Hides strokes of a brush, 12 to 36 % of the face."""

    width: Literal["thin", "medium", "thick"] = setting("medium", "of the brush's strokes")

    def known(self, name, size, zoom):
        from facefill.masks.freeform.strokes import draw_strokes

        return ~draw_strokes(self.generator(name), self.width, size)
