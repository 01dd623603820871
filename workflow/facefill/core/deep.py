"""Pictures of more than 8 bits per sample, and the page of a TIFF that holds the photo.

Pillow keeps the upper 8 bits of a colour, and does not read all that TIFFs hold.
"""

import io
import logging
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import tifffile
from PIL import Image
from tifffile import PHOTOMETRIC, TiffPage

from facefill.core.colour import deep_to_srgb

TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 1000  # of a stack with more, the photo is taken from the first ones
ROWS = 256
MAX_SAMPLES = 8  # colours, opacity and some more
REDUCED, MASK = 1, 4  # bits of NewSubfileType
RAW = (PHOTOMETRIC.CFA, PHOTOMETRIC.LINEAR_RAW)
MODES = {
    PHOTOMETRIC.MINISWHITE: "L",
    PHOTOMETRIC.MINISBLACK: "L",
    PHOTOMETRIC.RGB: "RGB",
    PHOTOMETRIC.SEPARATED: "CMYK",
}
ALPHA = (1, 2)  # ExtraSamples: associated, unassociated
ORIENTATION, OLD_SUBFILE_TYPE, MAX_SAMPLE_VALUE, ICC, DNG_VERSION = 274, 255, 281, 34675, 50706

# What it says about odd tags would be lines between the user's.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


@dataclass(frozen=True)
class TiffPhoto:
    """The page of a TIFF that holds the photo."""

    offset: int
    width: int
    height: int
    is_first: bool  # what every reader would take
    is_deep: bool  # more than 8 bits per sample, in colours that `decode_tiff` reads
    orientation: int | None  # as in EXIF
    is_raw: bool  # a camera's raw data lie in the file, with previews beside them

    def alone(self, data: bytes) -> bytes:
        """The file's bytes with this page as its first."""
        if self.is_first:
            return data
        order = "little" if data.startswith(b"II") else "big"
        width = 8 if b"+" in data[2:4] else 4  # of an offset, which lies there, too
        offset = self.offset.to_bytes(width, order)
        return data[:width] + offset + data[2 * width :]


def tiff_photo(data: bytes) -> TiffPhoto | None:
    """Choose the photo of a TIFF: the largest page that is no reduced copy of another, nor a mask.

    Of equal ones, the first. Returns None where the file is too damaged to tell.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            pages: list[TiffPage] = []
            for page in islice(file.pages, MAX_PAGES):
                pages += [page, *islice(page.pages or (), MAX_PAGES)]
            page = max(pages, key=lambda page: (_is_whole(page), _pixels(page)))
            return TiffPhoto(
                page.offset,
                page.imagewidth,
                page.imagelength,
                page is pages[0],
                _is_deep(page),
                page.tags.valueof(ORIENTATION),
                any(page.photometric in RAW or DNG_VERSION in page.tags for page in pages),
            )
    except Exception:  # it raises nearly every type on damaged data
        return None


def _is_whole(page: TiffPage) -> bool:
    old = page.tags.valueof(OLD_SUBFILE_TYPE)
    return not int(page.subfiletype) & (REDUCED | MASK) and old != 2


def _is_deep(page: TiffPage) -> bool:
    if page.samplesperpixel > MAX_SAMPLES or page.imagedepth > 1:
        return False  # a header of a few bytes may ask for gigabytes
    return page.photometric in MODES and np.max(page.bitspersample) > 8


def _pixels(page: TiffPage) -> int:
    return page.imagewidth * page.imagelength


def decode_tiff(data: bytes) -> tuple[Image.Image, bytes]:
    """Decode the first page, which is deep, to what `to_eight_bits` returns."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        planes = page.asarray(squeeze=False, maxworkers=1)[:, 0]  # [planes, height, width, samples]
        samples = np.moveaxis(planes[..., 0], 0, -1) if len(planes) > 1 else planes[0]
        mode = MODES[page.photometric]
        if len(page.extrasamples) and page.extrasamples[0] in ALPHA and mode != "CMYK":
            mode += "A"
        bits = np.max(page.bitspersample)
        declared = np.max(page.tags.valueof(MAX_SAMPLE_VALUE) or 0)
        profile = page.tags.valueof(ICC) or b""
        inverted = page.photometric == PHOTOMETRIC.MINISWHITE
        return to_eight_bits(samples, mode, profile, bits, declared, inverted)


def decode_png(data: bytes, profile: bytes) -> tuple[Image.Image, bytes] | None:
    """Decode a PNG to what `to_eight_bits` returns; None where it has no 16 bits per colour."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.ndim != 3:
        return None
    samples[..., :3] = samples[..., 2::-1].copy()
    mode = "RGB" if samples.shape[2] == 3 else "RGBA"
    return to_eight_bits(samples, mode, profile, significant_bits(data))


def significant_bits(data: bytes) -> int:
    """Return what a PNG's sBIT says of its first channel; 16 where there is none."""
    at = data.find(b"sBIT", 0, max(0, data.find(b"IDAT")))
    return data[at + 4] if at > 0 else 16


def full_scale(samples: np.ndarray, bits: int, declared: int = 0) -> float:
    """Return the value of samples that is white (or full ink).

    What is declared counts first, unless a sample is larger: TIFF's MaxSampleValue, or bits per
    sample that the samples' type has more of (12 in 16). Next what the largest sample tells: none
    above 255 are 8 bits, none above 1023 are 10 and none above 4095 are 12, since a picture of 16
    bits with none would be black to the eye; a largest of exactly 16383 are saturated 14. All else
    is taken as it is, and a dark photo stays dark.

    Floats are 0 to 1 where but one in a hundred has more than 16 (highlights go beyond 1), else 0
    to 255 or 0 to 65535.
    """
    if samples.dtype.kind == "f":
        values = samples.ravel()[:: max(1, samples.size // 1_000_000)]
        values = values[np.isfinite(values)]
        level = np.percentile(values, 99) if values.size else 0
        return 1.0 if level <= 16 else 255.0 if level <= 255 else 65535.0
    largest = int(samples.max(initial=0))
    most = np.iinfo(samples.dtype).max
    for top in (int(declared), 2 ** int(bits) - 1):
        if 255 <= top < most and largest <= top:
            return top
    if largest == 2**14 - 1:
        return largest
    tops = (2**bits - 1 for bits in (8, 10, 12, 16))
    return next((min(top, most) for top in tops if largest <= top), most)


def to_eight_bits(
    samples: np.ndarray,
    mode: str,
    profile: bytes,
    bits: int = 16,
    declared: int = 0,
    inverted: bool = False,
) -> tuple[Image.Image, bytes]:
    """Scale samples [height, width, channels of `mode`] to a picture of 8 bits.

    `bits` and `declared` are those of `full_scale`; where `inverted`, grey's 0 is white. Returns
    the picture and the profile that it is still to be converted by: deep colours are converted
    here.
    """
    colours = samples[..., : len(mode.removesuffix("A"))]
    top = full_scale(colours, bits, declared)
    eight = deep_to_srgb(_scaled(colours, top, np.uint16), profile) if len(mode) > 2 else None
    if eight is None:
        eight = _scaled(colours, top, np.uint8, cut=mode != "L")
    else:
        profile = b""
    if inverted:
        eight = 255 - eight
    if mode.endswith("A"):  # which often is full where colours have fewer bits
        alpha = samples[..., len(mode) - 1 : len(mode)]
        if not alpha.max(initial=0) <= top:
            top = np.iinfo(alpha.dtype).max
        eight = np.dstack([eight, _scaled(alpha, top, np.uint8, cut=True)])
    if mode == "CMYK":  # four channels, which Pillow would take for colours with opacity
        return Image.frombytes(mode, eight.shape[1::-1], eight.tobytes()), profile
    return Image.fromarray(eight[..., 0] if mode == "L" else eight), profile


def _scaled(samples: np.ndarray, top: float, kind: type, cut: bool = False) -> np.ndarray:
    """Scale samples from 0 to `top` to all of an unsigned integer type.

    Integers of 16 bits are rounded, or cut to their upper bits, as Pillow does with colours.
    """
    most = np.iinfo(kind).max
    if samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2:
        steps = np.arange(65536)
        steps = steps * (most + 1) // (int(top) + 1) if cut else np.rint(steps * (most / top))
        table = steps.clip(0, most).astype(kind)
        scaled = np.empty(samples.shape, kind)
        for at in range(0, len(samples), ROWS):  # as indices, they take four times the memory
            scaled[at : at + ROWS] = table[samples[at : at + ROWS].clip(0)]
        return scaled
    values = np.multiply(samples, most / top, dtype=np.float32)
    np.nan_to_num(values, copy=False)
    np.rint(values.clip(0, most, out=values), out=values)
    return values.astype(kind)
