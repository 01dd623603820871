"""A part of the face is hidden, where OpenFace's template has it."""

import math
from struct import pack, unpack
from typing import Literal

from facefill.core.template import positions
from facefill.kinds import declare, setting
from facefill.masks._rectangle import Rectangle, RectangleMask

# From the leftmost and topmost to the rightmost and bottommost of these landmarks, widened by these
# shares of the template's side (left, top, right, bottom). The template's landmarks are means over
# many people: with these margins the rectangles hold the landmarks of the part in 84 % (brows),
# 99 % (nose), 98 % (mouth) and all (eyes) of LFW's faces.
EDGE = math.inf
PARTS = {
    "eyes": ((36, 45), (0.13, 0.25, 0.15, 0.16)),  # brows included
    "nose": ((39, 42, 33), (0.08, -0.02, 0.08, 0.09)),
    "mouth": ((33, 57), (0.34, 0.03, 0.34, 0.06)),
    "lower_face": ((36, 45), (EDGE, -0.09, EDGE, EDGE)),
}


@declare
class Landmarks(RectangleMask):
    """Hides the eyes, the nose, the mouth or all below the eyes; follows align.zoom."""

    part: Literal["eyes", "nose", "mouth", "lower_face"] = setting("eyes", "which part is hidden")

    def hole(self, size, zoom):
        landmarks, margins = PARTS[self.part]
        points = positions(landmarks, size, zoom)
        x, y = ([_single(value) for value in values] for values in zip(*points, strict=True))
        left, top, right, bottom = (margin * zoom * size for margin in margins)
        return Rectangle(
            _pixel(min(y) - top, size),
            _pixel(max(y) + bottom, size),
            _pixel(min(x) - left, size),
            _pixel(max(x) + right, size),
        )


def _single(value: float) -> float:
    """Round to single precision, as the alignment does."""
    return unpack("f", pack("f", value))[0]


def _pixel(value: float, size: int) -> int:
    return round(min(max(value, 0), size))
