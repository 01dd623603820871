"""Pictures in and out: photos of any kind to RGB, faces to PNG, sheets and GIFs to look at."""

import io
import re
import warnings
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from facefill.core.errors import FacefillError
from facefill.core.files import write_bytes

# What photos are kept in; Pillow knows more, and would start Ghostscript for a PostScript file.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
HEIC = re.compile(rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
# As in a JPEG. dlib's detector writes beyond its memory where a picture is wider than 77,778
# pixels: what it adds up in single precision to scale a row is then off by more than a pixel.
MAX_SIDE = 65_535
# A progressive JPEG goes over all its pixels in each scan: a camera's some 10 times, a bomb for
# hours.
MAX_SCANS = 500
SCAN = b"\xff\xda"
# How a picture with that EXIF orientation is put upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A picture whose notes or colour profile have a megabyte is as good as any.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


class UnreadableImage(FacefillError):
    """The bytes are not an image that can be decoded."""


class TooLargeImage(FacefillError):
    """The header announces more pixels than allowed."""


def decode_photo(data: bytes, max_pixels: int) -> np.ndarray:
    """Decode a photo to RGB uint8 [height, width, 3], upright as its EXIF orientation says.

    Grey, palette, CMYK and 16-bit pictures are converted, transparency is laid on white, and of
    an animation the first frame is taken. Raises UnreadableImage, or TooLargeImage when the
    header announces more than `max_pixels` pixels or MAX_SIDE a side (nothing is decoded then).
    """
    # A GIF may ask Pillow for gigabytes while its size is still being read.
    former, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 2 * max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is common and harms nothing
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                size = f"{image.width}x{image.height} pixels"
                if image.width * image.height > max_pixels:
                    raise TooLargeImage(size)
                if max(image.size) > MAX_SIDE:
                    raise TooLargeImage(f"{size}, a side has more than {MAX_SIDE}")
                if image.format in ("JPEG", "MPO") and data.count(SCAN) > MAX_SCANS:
                    raise UnreadableImage(f"a JPEG of more than {MAX_SCANS} scans")
                image.load()
                return np.asarray(_to_rgb(_upright(image)))
    except (TooLargeImage, UnreadableImage):
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeImage(f"more than {max_pixels} pixels") from error
    except UnidentifiedImageError as error:  # its message has an address: other bytes every time
        raise UnreadableImage(_described(data)) from error
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise UnreadableImage(f"{type(error).__name__}: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = former  # what else this process opens is no photo


def _described(data: bytes) -> str:
    if not data:
        return "an empty file"
    if HEIC.match(data):
        return "a HEIC picture; convert it to JPEG"
    return f"no picture, or damaged at its beginning; expected one of {' '.join(FORMATS)}"


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged metadata harm no pixel
        return image
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16 bits per pixel: Pillow's own conversion to 8 bits would clip instead of scale.
        grey = np.asarray(image)
        top = 65535 if np.fmax.reduce(grey, axis=None, initial=0) > 255 else 255
        grey = np.nan_to_num(np.multiply(grey, 255 / top, dtype=np.float32), copy=False)
        np.rint(grey.clip(0, 255, out=grey), out=grey)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        flat = Image.new("RGB", rgba.size, "white")
        flat.paste(rgba, mask=rgba)
        return flat
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def png_bytes(rgb: np.ndarray) -> bytes:
    """Encode RGB uint8 [height, width, 3] as PNG without metadata: equal pixels, equal bytes."""
    buffer = io.BytesIO()
    # Run-length coding packs photographs as tightly as zlib's default, in half the time.
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=6, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def write_png(path: Path | str, rgb: np.ndarray) -> None:
    write_bytes(path, png_bytes(rgb))


def write_gif(path: Path | str, frames: np.ndarray, seconds_per_frame: float) -> None:
    """Write RGB uint8 [frames, height, width, 3] as an endless GIF; the last frame stays 2 s."""
    milliseconds = [round(seconds_per_frame * 1000)] * (len(frames) - 1) + [2000]
    # Not to the file itself: imageio prints tracebacks of its own where that cannot be written.
    gif = iio.imwrite("<bytes>", frames, extension=".gif", duration=milliseconds, loop=0)
    write_bytes(path, gif)


def contact_sheet(
    images: np.ndarray, columns: int, scale: int = 1, gap: int = 2, background: int = 255
) -> np.ndarray:
    """Lay out uint8 [N, height, width, 3] in rows, every pixel `scale` wide, `gap` between them."""
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, background, np.uint8)
    for number, image in enumerate(images):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
