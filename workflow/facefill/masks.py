"""Masks: which pixels of a face are known. 1 = known, 0 = hole, as in Amos and Yeh.

Random masks depend on the face's name, the mask's settings and its seed only: never on the other
faces or their order. All their lengths are shares of the face's side, so that a mask looks alike
at every size.
"""

import hashlib
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from facefill import holes
from facefill.errors import FacefillError
from facefill.holes import Settings

# Stroke widths of `freeform`. DeepFill v2 draws 12 to 40 pixels at a side of 256: medium.
WIDTHS = {"thin": (0.03, 0.05), "medium": (0.05, 0.15), "thick": (0.15, 0.25)}
# Strokes are added until the hole has a share of the face drawn between these two, whatever their
# width. The last segment adds 14 % at most, so that never half of the face is hidden.
FREEFORM_SHARES = (0.12, 0.36)
REFERENCE = 64  # side of the picture in which the share is measured, whatever the face's

PNG_BYTES = 1 << 26  # no face's mask has more; a larger file is not read


@dataclass(frozen=True)
class Masks:
    """What is known of each of N faces."""

    known: np.ndarray  # bool [N, size, size], True = this pixel is known
    block: int = 0  # side of the square blocks whose mean colours are known, too; 0 = none


def make_masks(settings: Settings, names: list[str], size: int, zoom: float) -> Masks:
    """Return the masks of one kind for the faces `names`, of `size` pixels.

    `zoom` is the alignment's: it says where the parts of a face lie. Raises FacefillError when
    the settings contradict each other or the size, or a file is no mask.
    """
    holes.check(settings, size)
    kind = settings["kind"]
    if kind in PER_FACE:
        known = [PER_FACE[kind](settings, name, size) for name in names]
        return Masks(np.array(known, bool).reshape(len(names), size, size))
    known = FIXED[kind](settings, size, zoom)
    return Masks(
        np.repeat(known[None], len(names), axis=0), settings["factor"] if kind == "lowres" else 0
    )


def observe(faces: np.ndarray, masks: Masks) -> np.ndarray:
    """Return all that a method may see of `faces`, uint8 [N, size, size, 3].

    Known pixels as they are; hidden ones black, or in the mean colour of their block (rounded)
    where that is known.
    """
    hidden = np.zeros_like(faces)
    if masks.block:
        count, size, block = len(faces), faces.shape[1], masks.block
        blocks = faces.reshape(count, size // block, block, size // block, block, 3)
        means = np.round(blocks.mean((2, 4))).astype(np.uint8)
        hidden = means.repeat(block, axis=1).repeat(block, axis=2)
    return np.where(masks.known[..., None], faces, hidden)


# Masks that are the same for all faces: bool [size, size].


def _rectangle(settings: Settings, size: int, zoom: float) -> np.ndarray:
    """Hide the middle (Amos 2016), a half (Amos's `left`, Yeh's half) or a part of the face."""
    hole = holes.rectangle(settings, size, zoom)
    known = np.ones((size, size), bool)
    known[hole.top : hole.bottom, hole.left : hole.right] = False
    return known


def _full(settings: Settings, size: int, zoom: float) -> np.ndarray:
    """Hide nothing: shows how well a method reproduces what it sees (Amos 2016)."""
    return np.ones((size, size), bool)


def _grid(settings: Settings, size: int, zoom: float) -> np.ndarray:
    """Know every step-th pixel of every step-th row only (Amos 2016, step 4)."""
    known = np.zeros((size, size), bool)
    known[:: settings["step"], :: settings["step"]] = True
    return known


def _lowres(settings: Settings, size: int, zoom: float) -> np.ndarray:
    """Know no pixel; the mean colours of the blocks are known instead (Amos 2016)."""
    return np.zeros((size, size), bool)


# Masks that differ from face to face: bool [size, size] for the face `name`.


def _generator(settings: Settings, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{settings['kind']}:{name}".encode()).digest()
    return np.random.default_rng([settings["seed"], int.from_bytes(digest)])


def _random(settings: Settings, name: str, size: int) -> np.ndarray:
    """Hide single pixels, exactly the share `hidden` of them (Yeh 2017: 80 %)."""
    noise = _generator(settings, name).permutation(size * size)
    return _all_but_lowest(noise, holes.hidden_pixels(settings, size)).reshape(size, size)


def _pattern(settings: Settings, name: str, size: int) -> np.ndarray:
    """Hide smooth random blobs, exactly the share `hidden` (about Yeh's 25 % `pattern`).

    Gaussian-filtered white noise, cut at its quantile. The noise lies on a lattice as fine as the
    filter's sigma, and wider than the face, so that it does not depend on the size in pixels.
    """
    sigma = settings["blob"] / 2
    lattice = np.arange(-4, np.ceil(1 / sigma) + 5) * sigma
    noise = _generator(settings, name).standard_normal((len(lattice), len(lattice)))
    distance = _centers(size)[:, None] - lattice
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)  # [size, len(lattice)]
    smooth = kernel @ noise @ kernel.T
    hidden = holes.hidden_pixels(settings, size)
    return _all_but_lowest(smooth.ravel(), hidden).reshape(size, size)


def _box(settings: Settings, name: str, size: int) -> np.ndarray:
    """Hide rectangles anywhere in the face, sides between min and max (as GLCIC 2017)."""
    low, high = settings["min"], settings["max"]
    generator = _generator(settings, name)
    known = np.ones((size, size), bool)
    for _ in range(settings["boxes"]):
        sides = np.rint(generator.uniform(low, high, 2) * size).astype(int).clip(1, size - 1)
        top, left = (generator.random(2) * (size - sides + 1)).astype(int)
        with_box = known.copy()
        with_box[top : top + sides[0], left : left + sides[1]] = False
        if with_box.any():  # many large boxes together could hide everything
            known = with_box
    return known


def _freeform(settings: Settings, name: str, size: int) -> np.ndarray:
    """Hide strokes of a brush (DeepFill v2: Yu 2019, section on free-form masks, and its code).

    A stroke is a chain of segments that turn back and forth by about 72 degrees, of a length
    about a mean. Strokes are added until the hole is as large as drawn for this face.
    """
    generator = _generator(settings, name)
    target = generator.uniform(*FREEFORM_SHARES)
    reference, hole = (np.zeros((side, side), bool) for side in (REFERENCE, size))
    while True:
        for segment in _stroke(generator, *WIDTHS[settings["width"]]):
            _draw(hole, *segment)
            _draw(reference, *segment)
            if reference.mean() >= target:
                return ~hole


def _stroke(generator: np.random.Generator, thinnest: float, thickest: float) -> list[tuple]:
    """Segments (start, end, radius) of one stroke, in shares of the face's side."""
    length = np.sqrt(2) / 8  # mean of a segment's, as in DeepFill v2's code
    turn = 2 * np.pi / 5 + generator.uniform(-1, 1) * 2 * np.pi / 15
    radius = generator.uniform(thinnest, thickest) / 2
    start, heading = generator.random(2), generator.uniform(0, 2 * np.pi)
    segments = []
    for number in range(generator.integers(4, 13)):
        angle = heading + (turn if number % 2 else -turn) * generator.uniform(0.5, 1)
        step = np.clip(generator.normal(length, length / 2), 0, 2 * length)
        end = np.clip(start + step * np.array([np.sin(angle), np.cos(angle)]), 0, 1)
        segments.append((start, end, radius))
        start = end
    return segments


def _draw(hole: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    """Add to `hole`, bool [size, size], all pixels no farther than `radius` from a segment.

    Points are (y, x) in shares of the side; the segment's ends are round.
    """
    size = len(hole)
    low = np.floor((np.minimum(start, end) - radius) * size).clip(0, size).astype(int)
    high = np.ceil((np.maximum(start, end) + radius) * size).clip(0, size).astype(int)
    centers = _centers(size)
    y = centers[low[0] : high[0], None] - start[0]
    x = centers[None, low[1] : high[1]] - start[1]
    dy, dx = end - start
    along = ((y * dy + x * dx) / max(dy * dy + dx * dx, 1e-12)).clip(0, 1)
    near = (y - along * dy) ** 2 + (x - along * dx) ** 2 <= radius * radius
    hole[low[0] : high[0], low[1] : high[1]] |= near


def _all_but_lowest(values: np.ndarray, hidden: int) -> np.ndarray:
    """False at the `hidden` places with the lowest values; bool [len(values)]."""
    known = np.ones(len(values), bool)
    known[np.argsort(values, kind="stable")[:hidden]] = False
    return known


def _centers(size: int) -> np.ndarray:
    """Where pixels lie in shares of the side: float64 [size]."""
    return (np.arange(size) + 0.5) / size


def _file(settings: Settings, name: str, size: int) -> np.ndarray:
    """Read the mask that somebody has drawn, for all faces or for this one."""
    path = Path(settings["path"])
    return _read_mask(path / f"{name}.png" if path.is_dir() else path, size)


def _read_mask(file: Path, size: int) -> np.ndarray:
    """Read a PNG of any mode; bright pixels are known, transparency counts as white."""
    try:
        info = file.stat()
    except OSError as error:
        raise FacefillError(
            f"{file}: cannot be read ({error.strerror}); put a PNG of {size}x{size} pixels there"
        ) from error
    if not stat.S_ISREG(info.st_mode) or info.st_size > PNG_BYTES:
        raise FacefillError(f"{file}: no picture file; put a PNG of {size}x{size} pixels there")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of huge pictures, which the size refuses
            with Image.open(file, formats=("PNG",)) as image:
                if image.size == (size, size):
                    image.load()
                    known = _grey(image) >= 128
                sides = image.size
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise FacefillError(
            f"{file}: not readable as PNG ({type(error).__name__}); save the mask as PNG of "
            f"{size}x{size} pixels"
        ) from error
    if sides != (size, size):
        raise FacefillError(
            f"{file}: the mask has {sides[0]}x{sides[1]} pixels, expected {size}x{size} as the "
            "faces (align.size); draw it in that size"
        )
    if known.all():
        raise FacefillError(f"{file}: hides nothing; paint the hole black on opaque white")
    if not known.any():
        raise FacefillError(f"{file}: leaves nothing known; paint what is known white (255)")
    return known


def _grey(image: Image.Image) -> np.ndarray:
    """A picture of any mode as brightness from 0 to 255, laid on white: [height, width]."""
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip instead of scale
        return np.asarray(image) // 256
    rgba = image.convert("RGBA")
    flat = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(flat, rgba).convert("L"))


FIXED: dict[str, Callable[[Settings, int, float], np.ndarray]] = {
    "center": _rectangle,
    "half": _rectangle,
    "landmarks": _rectangle,
    "full": _full,
    "grid": _grid,
    "lowres": _lowres,
}
PER_FACE: dict[str, Callable[[Settings, str, int], np.ndarray]] = {
    "random": _random,
    "pattern": _pattern,
    "box": _box,
    "freeform": _freeform,
    "file": _file,
}
