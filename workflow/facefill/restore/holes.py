"""Which pixels of a photo are a hole: by a mask, by transparency, or because they were painted."""

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

from facefill.masks.file.read import _grey

if TYPE_CHECKING:
    from facefill.restore.original import Original

AUTO = ("mask", "transparent", "white")  # not black: bars, night and studios are black as well
MISSING = {
    "mask": "no mask of it, beside it or in masks/",
    "transparent": "no pixel is wholly transparent",
    "white": "nothing was painted over it in pure white, or too little to be told; draw a mask",
    "black": "nothing was painted over it in pure black, or too little to be told; draw a mask",
    "auto": "no mask, no transparent pixels, nothing painted over it in pure white; draw a mask, "
    "or set hole: black",
}

# Of `_painted`. WIDTH is a share of the photo's shorter side, AREA of all its pixels.
WIDTH = 0.02  # a brush is wider; gleams, letters and jewels are not
AREA = 0.002
TONE = 250  # of 255, in all three channels: paint, also in a JPEG
BRIGHT = 240  # luma of what lies between paint and photo: soft edges, a JPEG's ringing
RAMP = 8  # pixels; a JPEG's blocks spoil no more of the paint beside an edge
DARKER = 210  # luma of what stands out against paint


class Paint(NamedTuple):
    """What tells paint from overexposed skies, windows and shirts, see `_painted`."""

    exact: float  # more of it is exactly pure
    ramp: float  # its edge has fewer bright pixels per pixel of its outline
    darker: float  # more of what lies around is clearly darker
    grown: int  # pixels beside it that are mixed with it


LOSSLESS = Paint(exact=0.88, ramp=1.2, darker=0.3, grown=2)
JPEG = Paint(exact=0, ramp=3, darker=0.8, grown=4)


class NoHole(Exception):
    """The photo has no hole to fill. Its text is the reason, `status` no_hole or bad_mask."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status


def find_hole(original: "Original", mask: bytes | None, hole: str) -> tuple[np.ndarray, str]:
    """Return what is known of the photo, bool [height, width], upright, and which hole it was.

    `hole` is mask (`mask` holds a PNG's bytes, None where there is none), transparent (opacity 0),
    white or black (painted, see `_painted`), or auto: the first of AUTO that is there. Raises
    NoHole where there is none, and where the mask cannot be used.
    """
    kinds = {
        "mask": lambda: None if mask is None else _drawn(original, mask),
        "transparent": lambda: _transparent(original.opacity),
        "white": lambda: _painted(original.pixels),
        "black": lambda: _painted(255 - original.pixels),
    }
    for kind in AUTO if hole == "auto" else [hole]:
        hidden = kinds[kind]()
        if hidden is not None and hidden.any():
            return ~hidden, kind
    raise NoHole("no_hole", MISSING[hole])


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
    if sides not in ((width, height), original.stored[::-1]):
        size = f"the mask has {sides[0]}x{sides[1]} pixels, the photo {width}x{height}"
        raise NoHole("bad_mask", size)
    if sides != (width, height):
        hidden = original.turn(hidden)
    if not hidden.any():
        raise NoHole("no_hole", "the mask hides nothing; paint the hole black on white")
    if hidden.all():
        raise NoHole("bad_mask", "the mask hides all of the photo; paint what is known white")
    return hidden


def _transparent(opacity: np.ndarray | None) -> np.ndarray | None:
    """Opacity 0, and the half transparent pixels beside it that an eraser leaves."""
    if opacity is None or not opacity.any():  # a lost opacity: the colours are the photo
        return None
    return _grown(opacity == 0, opacity < 255, 2)


def _painted(pixels: np.ndarray) -> np.ndarray | None:
    """Broad areas of pure white that somebody has painted, bool [height, width].

    Broad is what a disc of WIDTH fits into, and AREA large. Overexposed areas are pure and broad,
    too, but their edge is a ramp of bright tones, some of their pixels miss pure white, and what
    lies around them is bright. So of an area are measured: which share of it is exactly pure, how
    many bright pixels there are per pixel of its outline, and which share of the two pixels around
    them is clearly darker. It is paint with the values of LOSSLESS, or, as a JPEG blurs and spoils
    the edges of paint, with those of JPEG. The hole takes in the bright edge, and some pixels more
    that are mixed with the paint.

    Measured on photos of LFW: among 1,000 undamaged ones none seems painted; of 120 with strokes
    over the face 119 are found saved losslessly, 116 with soft edges, 102 as JPEG of quality 90,
    whose blocks are large beside a brush in photos of 250 pixels.
    """
    height, width = pixels.shape[:2]
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    brush = max(5, round(WIDTH * min(height, width))) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (brush, brush))
    paint = (pixels.min(2) >= TONE).astype(np.uint8)
    paint = np.pad(paint, brush, mode="edge")  # strokes run off the photo
    broad = cv2.morphologyEx(paint, cv2.MORPH_OPEN, disc)[brush:-brush, brush:-brush]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(broad, connectivity=8)
    hole = np.zeros((height, width), bool)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < AREA * height * width:
            continue
        core = labels == label
        area = _grown(core, luma >= BRIGHT, RAMP)
        grown = _paint_edge(pixels, luma, core, area)
        hole |= _grown(area, np.ones_like(area), grown) if grown else False
    return hole


def _paint_edge(pixels, luma, core, area) -> int:
    """By how many pixels a painted `area` is to grow; 0 where it is none."""
    around = _grown(area, np.ones_like(area), 2) & ~area
    if not around.any():
        return 0
    outline = area & _grown(~area, np.ones_like(area), 1)
    exact = (pixels[core] == 255).all(-1).mean()
    ramp = (area & (luma < 254)).sum() / outline.sum()
    darker = (luma[around] < DARKER).mean()
    for paint in (LOSSLESS, JPEG):
        if exact > paint.exact and ramp < paint.ramp and darker > paint.darker:
            return paint.grown
    return 0


def _grown(area: np.ndarray, within: np.ndarray, steps: int) -> np.ndarray:
    """`area` and what can be reached from it in so many steps `within`."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    square = np.ones((3, 3), np.uint8)
    grown, within = area.astype(np.uint8), (within | area).astype(np.uint8)
    for step in range(steps):  # crosses and squares by turns make an octagon, nearly a disc
        grown = cv2.dilate(grown, square if step % 2 else cross) & within
    return grown.astype(bool)
