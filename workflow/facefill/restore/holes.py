"""Which pixels of a photo are a hole: by a mask, by transparency, or because they were painted."""

import io
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageOps

from facefill.masks.file.read import _grey

if TYPE_CHECKING:
    from facefill.restore.original import Original

# Lengths below are shares of the photo's shorter side, areas of all its pixels.
AUTO = ("mask", "transparent", "white")
WIDTH = 0.02  # a brush is wider; gleams, letters and jewels are not
AREA = 0.002
PURE = 254  # of 255: the tone of paint, which a JPEG may miss by one level
NEAR = 232  # soft edges of a brush and what a JPEG makes of a hard one
RAMP = 8  # pixels; a JPEG's blocks spoil no more of the paint beside an edge
GROWN = 2  # pixels by which a painted hole grows, over edges mixed with the photo


class NoHole(Exception):
    """The photo has no hole to fill. Its text is the reason, `status` no_hole or bad_mask."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status


def find_hole(original: "Original", mask: bytes | None, hole: str) -> tuple[np.ndarray, str]:
    """Return what is known of the photo, bool [height, width], upright, and which hole it was.

    `hole` is mask (`mask` holds a PNG's bytes, None where there is none), transparent (opacity 0),
    white or black (painted, see `_painted`), or auto: the first of AUTO that is there. Raises NoHole where there is none, and where the mask cannot be used.
    """
    kinds = {
        "mask": lambda: None if mask is None else _drawn(original, mask),
        "transparent": lambda: _transparent(original.opacity),
        "white": lambda: _painted(original.pixels),
        "black": lambda: _painted(255 - original.pixels),
    }
    for kind in AUTO if hole == "auto" else [hole]:
        hidden = kinds[kind]()
        if hidden is None or not hidden.any():
            continue
        if hidden.all():
            raise NoHole("bad_mask", f"all of the photo is a hole ({kind}), nothing is known")
        return ~hidden, kind
    raise NoHole("no_hole", MISSING[hole])


MISSING = {
    "mask": "no mask beside the photo or in masks/",
    "transparent": "no pixel is wholly transparent",
    "white": "no broad area was painted pure white",
    "black": "no broad area was painted pure black",
    "auto": "no mask, no transparent pixels, no broad area painted pure white",
}


def _drawn(original: "Original", mask: bytes) -> np.ndarray:
    """The hole of a PNG: what is darker than half of white; transparency counts as white.

    The mask must have the photo's size as it is seen or, with an EXIF orientation, as it is stored.
    """
    height, width = original.pixels.shape[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of huge pictures, which the size refuses
            with Image.open(io.BytesIO(mask), formats=("PNG",)) as image:
                sides = image.size
                if getattr(image, "n_frames", 1) > 1:
                    raise NoHole("bad_mask", "the mask is an animation; save a single picture")
                if sorted(sides) == sorted((width, height)):
                    image.load()
                    image = ImageOps.exif_transpose(image)
                    sides, hidden = image.size, _grey(image) < 128
    except NoHole:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        reason = f"the mask is not readable as PNG ({type(error).__name__})"
        raise NoHole("bad_mask", reason) from error
    if sides == (width, height):
        pass
    elif sides == original.stored[::-1]:
        hidden = original.turn(hidden)
    else:
        size = f"the mask has {sides[0]}x{sides[1]} pixels, the photo {width}x{height}"
        raise NoHole("bad_mask", size)
    if not hidden.any():
        raise NoHole("no_hole", "the mask hides nothing; paint the hole black on white")
    return hidden


def _transparent(opacity: np.ndarray | None) -> np.ndarray | None:
    """Opacity 0, and the half transparent pixels beside it that an eraser leaves."""
    if opacity is None or not opacity.any():  # a lost opacity: the colours are the photo
        return None
    return _grown(opacity == 0, opacity < 255, GROWN)


def _painted(pixels: np.ndarray) -> np.ndarray | None:
    """Broad areas of pure white that somebody has painted, bool [height, width]."""
    height, width = pixels.shape[:2]
    tone = pixels.min(2)
    brush = max(5, round(WIDTH * min(height, width))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (brush, brush))
    pure = np.pad(tone >= PURE, brush, mode="edge").astype(np.uint8)  # paint runs off the photo
    broad = cv2.morphologyEx(pure, cv2.MORPH_OPEN, disc)[brush:-brush, brush:-brush]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(broad, connectivity=8)
    hole = np.zeros((height, width), bool)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < AREA * height * width:
            continue
        core = labels == label
        if _is_abrupt(core, tone):
            hole |= _grown(core, tone >= NEAR, RAMP)
    return _grown(hole, np.ones_like(hole), GROWN) if hole.any() else None


def _is_abrupt(core: np.ndarray, tone: np.ndarray) -> bool:
    """Whether the tone falls from pure to the photo's within a few pixels, as beside paint."""
    ramp = _grown(core, tone >= NEAR, RAMP)
    rim = _grown(ramp, np.ones_like(ramp), 3) & ~ramp
    return bool(rim.any()) and (tone[rim] < 200).mean() > 0.7


def _grown(area: np.ndarray, within: np.ndarray, steps: int) -> np.ndarray:
    """`area` and what can be reached from it in so many steps `within`."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    square = np.ones((3, 3), np.uint8)
    grown, within = area.astype(np.uint8), (within | area).astype(np.uint8)
    for step in range(steps):  # crosses and squares by turns make an octagon, nearly a disc
        grown = cv2.dilate(grown, square if step % 2 else cross) & within
    return grown.astype(bool)
