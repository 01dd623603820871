"""Pictures in and out: photos of any kind to RGB, faces to PNG, sheets and GIFs to look at."""

import io
import warnings
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageOps

from facefill.errors import FacefillError
from facefill.files import write_bytes

Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit: decode_photo's max_pixels decides


class UnreadableImage(FacefillError):
    """The bytes are not an image that can be decoded."""


class TooLargeImage(FacefillError):
    """The header announces more pixels than allowed."""


def decode_photo(data: bytes, max_pixels: int) -> np.ndarray:
    """Decode a photo to RGB uint8 [height, width, 3], upright as its EXIF orientation says.

    Grey, palette, CMYK and 16-bit pictures are converted, transparency is laid on white, and of
    an animation the first frame is taken. Raises UnreadableImage, or TooLargeImage when the
    header announces more than `max_pixels` pixels (nothing is decoded then).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is common and harms nothing
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > max_pixels:
                    raise TooLargeImage(f"{image.width}x{image.height} pixels")
                image.load()
                return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except TooLargeImage:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise UnreadableImage(f"{type(error).__name__}: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16 bits per pixel: Pillow's own conversion to 8 bits would clip instead of scale.
        grey = np.asarray(image, np.float64)
        top = 65535.0 if grey.max(initial=0) > 255 else 255.0
        return Image.fromarray((grey * (255 / top)).clip(0, 255).round().astype(np.uint8)).convert(
            "RGB"
        )
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


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
    sheet = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), background, np.uint8
    )
    for number, image in enumerate(images):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
