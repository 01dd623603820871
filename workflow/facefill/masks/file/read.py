"""Reading a drawn mask."""

import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from facefill.core.errors import FacefillError

PNG_BYTES = 1 << 26  # no face's mask has more; a larger file is not read


def read_mask(file: Path, size: int) -> np.ndarray:
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
