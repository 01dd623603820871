"""How large a mask's hole is, in whole pixels, without making the mask.

The masks are drawn by these numbers. The Snakefile checks the configuration with them whenever it
is parsed, so nothing slow may be imported here: no NumPy, no Pillow.
"""

import math
from enum import Enum
from pathlib import Path
from struct import pack, unpack
from typing import Any, NamedTuple

from facefill.errors import FacefillError
from facefill.template import positions

Settings = dict[str, Any]

# Rectangles over parts of the face: from the leftmost and topmost to the rightmost and bottommost
# of these landmarks, widened by these shares of the template's side (left, top, right, bottom).
# The template's landmarks are means over many people: with these margins the rectangles hold the
# landmarks of the part in 84 % (brows), 99 % (nose), 98 % (mouth) and all (eyes) of LFW's faces.
FAR = math.inf
PARTS = {
    "eyes": ((36, 45), (0.13, 0.25, 0.15, 0.16)),  # brows included
    "nose": ((39, 42, 33), (0.08, -0.02, 0.08, 0.09)),
    "mouth": ((33, 57), (0.34, 0.03, 0.34, 0.06)),
    "lower_face": ((36, 45), (FAR, -0.09, FAR, FAR)),
}


class Rectangle(NamedTuple):
    """Rows top to bottom - 1, columns left to right - 1."""

    top: int
    bottom: int
    left: int
    right: int


class Hides(Enum):
    """How much of a face a mask hides."""

    NOTHING = 0
    PART = 1
    ALL = 2


def check(settings: Settings, size: int) -> None:
    """Refuse settings that contradict each other or the face's size."""
    if settings["kind"] == "lowres" and size % settings["factor"]:
        raise FacefillError(
            f"factor is {settings['factor']}, expected a divisor of the face's {size} pixels so "
            "that the blocks fill it"
        )
    if settings["kind"] == "box" and settings["min"] > settings["max"]:
        raise FacefillError(
            f"min is {settings['min']}, expected at most max ({settings['max']}); lower it or "
            "raise max"
        )


def hides(settings: Settings, size: int, zoom: float) -> Hides:
    """Return how much a mask of any kind but `file` hides, whatever the face's name."""
    check(settings, size)
    kind = settings["kind"]
    if kind in ("box", "freeform", "grid"):  # which are drawn so that this is always true
        return Hides.PART
    if kind in ("full", "lowres"):
        return Hides.NOTHING if kind == "full" else Hides.ALL
    if kind in ("random", "pattern"):
        hidden = hidden_pixels(settings, size)
    else:
        hole = rectangle(settings, size, zoom)
        hidden = max(0, hole.bottom - hole.top) * max(0, hole.right - hole.left)
    return {0: Hides.NOTHING, size * size: Hides.ALL}.get(hidden, Hides.PART)


def hidden_pixels(settings: Settings, size: int) -> int:
    """How many pixels `random` and `pattern` hide."""
    return round(settings["hidden"] * (size * size))


def rectangle(settings: Settings, size: int, zoom: float) -> Rectangle:
    """The hole of a mask of the kind `center`, `half` or `landmarks`."""
    if settings["kind"] == "center":
        low, high = int(size * settings["scale"]), int(size * (1 - settings["scale"]))
        return Rectangle(low, high, low, high)
    if settings["kind"] == "half":
        middle = size // 2
        return {
            "left": Rectangle(0, size, 0, middle),
            "right": Rectangle(0, size, middle, size),
            "top": Rectangle(0, middle, 0, size),
            "bottom": Rectangle(middle, size, 0, size),
        }[settings["side"]]
    landmarks, margins = PARTS[settings["part"]]
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
    """In single precision, as the alignment has it."""
    return unpack("f", pack("f", value))[0]


def _pixel(value: float, size: int) -> int:
    return round(min(max(value, 0), size))


def drawn_files(settings: Settings) -> list[Path]:
    """The PNGs that a mask of kind `file` may read, sorted."""
    path = Path(settings["path"])
    return sorted(path.glob("*.png")) if path.is_dir() else [path]
