"""Pictures in and out: photos of any kind to RGB, faces to PNG, sheets and GIFs to look at."""

import io
import warnings
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from facefill.core import jpeg
from facefill.core.colour import profile_of, to_srgb
from facefill.core.deep import (
    TIFFS,
    decode_png,
    decode_tiff,
    significant_bits,
    tiff_photo,
    to_eight_bits,
)
from facefill.core.errors import FacefillError
from facefill.core.files import write_bytes
from facefill.core.formats import RAW, unread_kind

# What photos are kept in; Pillow knows more, and would start Ghostscript for a PostScript file.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# As in a JPEG. dlib's detector writes beyond its memory where a picture is wider than 77,778
# pixels: what it adds up in single precision to scale a row is then off by more than a pixel.
MAX_SIDE = 65_535
# A progressive JPEG goes over all its pixels in each scan: a camera's some 10 times, a bomb for
# hours.
MAX_SCANS = 500
NO_PICTURE = f"no picture, or damaged at its beginning; expected one of {' '.join(FORMATS)}"
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
    """Decode a photo to sRGB, uint8 [height, width, 3], upright as its EXIF orientation says.

    Grey, palette, CMYK, 16-bit and floating-point pictures are converted, as profiles, gamma and
    primaries say, transparency is laid on white, of an animation the first frame is taken and of
    a TIFF's pages the largest. Raises UnreadableImage, or TooLargeImage when the header announces
    more than `max_pixels` pixels or MAX_SIDE a side (nothing is decoded then).
    """
    # A GIF may ask Pillow for gigabytes while its size is still being read.
    former, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 2 * max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is common and harms nothing
            return np.asarray(_decode(data, max_pixels))
    except (TooLargeImage, UnreadableImage):
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeImage(f"more than {max_pixels} pixels") from error
    except UnidentifiedImageError as error:  # its message has an address: other bytes every time
        raise UnreadableImage(NO_PICTURE) from error
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise UnreadableImage(f"{type(error).__name__}: {error}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = former  # what else this process opens is no photo


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    """Whatever a decoder raises is raised as it is."""
    if kind := unread_kind(data):
        raise UnreadableImage(kind)
    photo = tiff_photo(data) if data.startswith(TIFFS) else None
    if photo:
        if photo.is_raw:
            raise UnreadableImage(RAW)
        _check_size(photo.width, photo.height, max_pixels)
        data = photo.alone(data)
        if photo.is_deep:
            return _turned(_to_rgb(*decode_tiff(data)), photo.orientation)
    file = io.BytesIO(jpeg.closed(data) if data.startswith(jpeg.START) else data)
    with Image.open(file, formats=FORMATS) as image:
        _check_size(image.width, image.height, max_pixels)
        is_jpeg = image.format in ("JPEG", "MPO")
        if is_jpeg and data.count(jpeg.SCANS) > MAX_SCANS:
            raise UnreadableImage(f"a JPEG of more than {MAX_SCANS} scans")
        image.load()
        if is_jpeg and (damage := jpeg.damage(data)):
            raise UnreadableImage(f"a damaged or cut JPEG ({damage})")
        return _turned(_to_rgb(*_eight_bits(image, data)), _orientation(image))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    size = f"{width}x{height} pixels"
    if width * height > max_pixels:
        raise TooLargeImage(size)
    if max(width, height) > MAX_SIDE:
        raise TooLargeImage(f"{size}, a side has more than {MAX_SIDE}")


def _eight_bits(image: Image.Image, data: bytes) -> tuple[Image.Image, bytes]:
    """Return a picture of 8 bits and the profile that it is still to be converted by.

    Pillow's own conversions would clip deep grey, and cut deep colours to their upper bits.
    """
    profile = profile_of(image, data)
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image)[..., None]
        bits = significant_bits(data) if image.format == "PNG" else 32  # not said
        return to_eight_bits(grey, "L", profile, bits)
    if image.format == "PNG" and data[24] == 16:
        largest = max(high for _, high in image.convert("RGB").getextrema())
        if largest < 64 or (profile and image.mode.startswith("RGB")):  # dark: 14 bits or less
            return decode_png(data, profile) or (image, profile)
    return image, profile


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged metadata harm no pixel
        return None


def _turned(image: Image.Image, orientation: int | None) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _to_rgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB, and lay what is transparent on white.

    Where nothing is seen at all, a program has lost the opacity: the colours are the photo.
    """
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        image = rgba.convert("L" if image.mode in ("L", "LA", "La") else "RGB")
    rgb = to_srgb(image if image.mode in ("L", "CMYK") else image.convert("RGB"), profile)
    if alpha is None or alpha.getextrema()[1] <= 1:  # or 0 and 1 in place of 0 and 255
        return rgb
    flat = Image.new("RGB", rgb.size, "white")
    flat.paste(rgb, mask=alpha)
    return flat


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
    if len(frames) == 1:
        milliseconds = 2000  # Pillow takes no list for a still picture
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


def enlargement(size: int) -> int:
    """The scale at which faces of `size` pixels are drawn to be looked at: small ones doubled."""
    return 2 if size < 128 else 1
