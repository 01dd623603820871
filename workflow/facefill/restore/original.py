"""A photograph as it is stored: pixels outside its hole keep their values, bit for bit.

It is written as a lossless PNG in its own mode, bits, colour profile and orientation, or as a JPEG
like its own. The fill goes the way back from sRGB to the photo's profile.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image, JpegImagePlugin
from tifffile import PHOTOMETRIC

from facefill.core import jpeg
from facefill.core.colour import FLAGS, INTENT, SRGB, deep_to_srgb, profile_of, to_srgb
from facefill.core.deep import (
    ICC,
    MAX_SAMPLE_VALUE,
    TIFFS,
    TiffPhoto,
    full_scale,
    significant_bits,
    tiff_photo,
)
from facefill.core.images import FORMATS, decode_photo

# How a picture stored with that EXIF orientation is put upright; 6 and 8 undo each other, every
# other undoes itself.
TURNS = {
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}
BACK = {6: 8, 8: 6}
# Pillow's modes by that of a PNG with the same colours; a fill needs more than a palette has.
MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "P": "RGB",
    "PA": "RGBA",
    "RGB": "RGB",
    "RGBA": "RGBA",
}
# Chunks of a PNG that stay as they are: of colours, and others.
COLOURS = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"sBIT")
OTHERS = (b"pHYs", b"tEXt", b"zTXt", b"iTXt")
PNG_START = 8 + 25  # the signature, and IHDR, which comes first
# Packs photographs as tightly as zlib's default, in a quarter of the time.
PACKING = {"level": 4, "strategy": imagecodecs.PNG.STRATEGY.FILTERED}
# What a TIFF's tags say of the photo; the others are about the file.
TIFF_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
)
EXIF_START = b"Exif\0\0"
UNASSOCIATED = 2  # ExtraSamples: opacity beside colours that are not multiplied by it
INCH = 0.0254  # metres


class Stored(NamedTuple):
    """Pixels as they are stored."""

    samples: np.ndarray  # uint8 or uint16 [height, width, channels of `mode`]
    mode: str  # L, LA, RGB or RGBA
    profile: bytes  # what colours are in, b"" for sRGB
    white: int  # the value of a colour that is white


class Original:
    """A photograph whose pixels outside the hole keep their values.

    `pixels` is uint8 [height, width, 3], upright, sRGB, as `decode_photo` gives it; `opacity` uint8
    [height, width], upright, None without an alpha channel; `stored` height and width as stored,
    before EXIF's orientation is applied; `note` what the file loses when written, "" for nothing.
    """

    def __init__(self, data: bytes, pixels: np.ndarray):
        """`data` are the file's bytes, and `pixels` what `decode_photo` made of them."""
        photo = tiff_photo(data) if data.startswith(TIFFS) else None
        data = photo.alone(data) if photo else data
        self.pixels = pixels
        self._metadata = metadata = _metadata(data, photo)
        notes = []
        if metadata.pictures > 1:
            notes.append(f"one of the {metadata.pictures} pictures in the file")
        try:
            stored = _deep_tiff(data) if photo and photo.is_deep else _stored(data)
            _from_srgb(np.zeros((1, 3), np.uint8), stored)
        except Unkept as reason:
            notes.append(f"{reason}, written in sRGB with 8 bits per colour")
            stored = Stored(self._turn_back(pixels), "RGB", b"", 255)
            others = tuple(chunk for chunk in metadata.chunks if chunk[0] not in COLOURS)
            self._metadata = metadata._replace(chunks=others)
        self.opacity = None
        if stored.mode.endswith("A"):
            opacity = stored.samples[..., -1]
            opacity = (opacity >> 8).astype(np.uint8) if opacity.dtype == np.uint16 else opacity
            if opacity.max() > 1:  # as `decode_photo` tells that a program has lost the opacity
                self.opacity = self.turn(opacity)
            else:
                notes.append("an opacity that hides the whole photo, left out")
                colours = stored.samples[..., :-1]
                stored = stored._replace(samples=colours, mode=stored.mode.removesuffix("A"))
        self._stored = stored
        self.stored = stored.samples.shape[:2]
        self.note = "; ".join(notes)

    def turn(self, array: np.ndarray) -> np.ndarray:
        """Put upright what lies as the photo is stored, [height, width, ...]."""
        turn = TURNS.get(self._metadata.orientation)
        return turn(array) if turn else array

    def _turn_back(self, array: np.ndarray) -> np.ndarray:
        orientation = self._metadata.orientation
        turn = TURNS.get(BACK.get(orientation, orientation))
        return turn(array) if turn else array

    def encode(self, fill: np.ndarray, known: np.ndarray, format: str) -> tuple[bytes, str]:
        """Write the photo with a filled hole; returns the file's bytes and its suffix.

        `fill` is sRGB uint8 [height, width, 3], `known` bool [height, width], both upright. Known
        pixels keep their stored values, hidden ones get the fill in the photo's colour profile
        (grey in a grey photo), opaque. EXIF, colour profile and resolution are kept, but for EXIF's
        thumbnail, which would go on showing the hole. `format` is "png", or "same": then a JPEG
        becomes a JPEG of the same quantisation, and every other file a PNG.
        """
        stored = self._stored
        hole = self._turn_back(~known)
        samples = stored.samples.copy()
        colours = _from_srgb(self._turn_back(fill)[hole], stored)
        samples[hole, : colours.shape[1]] = colours
        if stored.mode.endswith("A"):
            alpha = stored.samples[..., -1]
            fits = alpha.max() <= stored.white  # as `facefill.core.deep` tells
            samples[hole, -1] = stored.white if fits else np.iinfo(alpha.dtype).max
        if format == "same" and self._metadata.jpeg is not None:
            return _jpeg(samples, stored, self._metadata), ".jpg"
        return _png(samples, stored, self._metadata), ".png"


def open_original(data: bytes, max_pixels: int) -> Original:
    """Open the photo whose file holds `data`; its first picture, or a TIFF's largest.

    Raises UnreadableImage or TooLargeImage as `decode_photo` does.
    """
    pixels = decode_photo(data, max_pixels)
    # `decode_photo` has checked the size.
    former, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is common and harms nothing
            return Original(data, pixels)
    finally:
        Image.MAX_IMAGE_PIXELS = former


class Unkept(Exception):
    """Why a photo's own values cannot be kept."""


class Metadata(NamedTuple):
    """What a file holds beside its pixels."""

    orientation: int = 1  # as in EXIF
    exif: bytes = b""  # without EXIF_START
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()  # of a PNG that is kept: kind and content
    jpeg: dict[str, Any] | None = None  # Pillow's options for a JPEG like this one
    pictures: int = 1


def _open(data: bytes) -> Image.Image:
    data = jpeg.closed(data) if data.startswith(jpeg.START) else data
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _metadata(data: bytes, tiff: TiffPhoto | None) -> Metadata:
    try:
        image = _open(data)
    except Exception:  # a TIFF of a kind that Pillow does not know
        orientation = (tiff and tiff.orientation) or 1
        return Metadata(orientation, _oriented(b"", orientation))
    orientation, exif = 1, b""
    try:
        tags = image.getexif()
        orientation = tags.get(ExifTags.Base.Orientation, 1)
        exif = _tiff_exif(tags) if tiff else image.info.get("exif", b"")
        exif = _oriented(_without_thumbnail(exif.removeprefix(EXIF_START)), orientation)
    except Exception:  # damaged metadata harm no pixel
        exif = _oriented(b"", orientation)
    xmp = image.info.get("xmp", b"")
    return Metadata(
        orientation,
        exif,
        xmp if isinstance(xmp, bytes) else b"",
        image.info.get("dpi"),
        tuple(_chunks(data)) if image.format == "PNG" else (),
        _jpeg_options(image) if image.format in ("JPEG", "MPO") else None,
        getattr(image, "n_frames", 1),
    )


def _tiff_exif(tags: Image.Exif) -> bytes:
    exif = Image.Exif()
    exif.update({tag: tags[tag] for tag in TIFF_TAGS if tag in tags})
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if content := tags.get_ifd(directory):
            exif[directory] = content
    return exif.tobytes()


def _oriented(exif: bytes, orientation: int) -> bytes:
    """EXIF that says the orientation, which may have stood elsewhere, as in XMP."""
    tags = Image.Exif()
    tags.load(exif)
    if tags.get(ExifTags.Base.Orientation, 1) == orientation:
        return exif
    tags[ExifTags.Base.Orientation] = orientation
    return tags.tobytes().removeprefix(EXIF_START)


def _without_thumbnail(exif: bytes) -> bytes:
    """EXIF whose first directory has no next one, which is the thumbnail's."""
    if not exif:
        return exif
    order = "<" if exif.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    (entries,) = struct.unpack_from(f"{order}H", exif, directory)
    link = directory + 2 + 12 * entries
    return exif[:link] + bytes(len(exif[link : link + 4])) + exif[link + 4 :]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = PNG_START
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _jpeg_options(image: Image.Image) -> dict[str, Any]:
    options = {
        "qtables": image.quantization,
        "subsampling": JpegImagePlugin.get_sampling(image),
        "progressive": "progressive" in image.info,
    }
    return options | {"comment": image.info.get("comment")}


def _stored(data: bytes) -> Stored:
    """The pixels of a file that Pillow reads; raises Unkept where a PNG cannot hold them."""
    image = _open(data)
    profile = profile_of(image, data)
    if image.format == "PNG" and data[24] == 16:
        samples = imagecodecs.png_decode(data)
        samples = samples.reshape(*samples.shape[:2], -1)
        if "transparency" in image.info:
            raise Unkept("16 bits per colour and one transparent colour")
        mode = ("L", "LA", "RGB", "RGBA")[samples.shape[2] - 1]
        colours = samples[..., : len(mode.removesuffix("A"))]
        return Stored(samples, mode, profile, int(full_scale(colours, significant_bits(data))))
    if image.mode not in MODES:
        deep = image.mode[0] in "IF"
        raise Unkept("more than 8 bits per colour" if deep else f"colours of kind {image.mode}")
    mode = MODES[image.mode]
    if "transparency" in image.info and not mode.endswith("A"):
        mode += "A"
    samples = np.asarray(image.convert(mode))
    return Stored(samples.reshape(*samples.shape[:2], -1), mode, profile, 255)


def _deep_tiff(data: bytes) -> Stored:
    """The pixels of a TIFF of 16 bits per colour; raises Unkept for those that are no integers."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        mode = {PHOTOMETRIC.MINISBLACK: "L", PHOTOMETRIC.RGB: "RGB"}.get(page.photometric)
        extra = [*page.extrasamples]
        whole = np.all(np.array(page.bitspersample) == 16) and page.dtype == np.uint16
        if not mode or not whole or extra not in ([], [UNASSOCIATED]):
            raise Unkept(f"a TIFF of {page.dtype} {page.photometric.name.lower()} colours")
        mode += "A" * len(extra)
        planes = page.asarray(squeeze=False, maxworkers=1)[:, 0]
        samples = np.concatenate([*planes], -1)
        colours = samples[..., : len(mode.removesuffix("A"))]
        white = int(full_scale(colours, 16, np.max(page.tags.valueof(MAX_SAMPLE_VALUE) or 0)))
        return Stored(samples, mode, page.tags.valueof(ICC) or b"", white)


def _from_srgb(rgb: np.ndarray, stored: Stored) -> np.ndarray:
    """Convert sRGB uint8 [N, 3] to the photo's colours, [N, 1 or 3]; Unkept where none can."""
    deep = stored.samples.dtype == np.uint16
    if stored.mode.startswith("L"):
        colours = np.asarray(Image.fromarray(rgb[None]).convert("L"))[0, :, None]
        steps = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        greys = np.asarray(to_srgb(steps, stored.profile).convert("L")).astype(int)
        colours = np.abs(greys.T - np.arange(256)).argmin(0)[colours]
        return np.rint(colours * (stored.white / 255)).astype(stored.samples.dtype)
    # None where the profile changes nothing.
    if deep_to_srgb(np.zeros((1, 1, 3), np.uint16), stored.profile) is None:
        return np.rint(rgb * (stored.white / 255)).astype(stored.samples.dtype)
    options = {"colorspace": "rgb", "outcolorspace": "rgb", "intent": int(INTENT)}
    options |= {"flags": int(FLAGS), "outdtype": "u2" if deep else "u1"}
    try:
        colours = imagecodecs.cms_transform(rgb[None], SRGB.tobytes(), stored.profile, **options)
    except (ValueError, RuntimeError) as error:  # as a scanner's profile, which has one way only
        raise Unkept("a colour profile without a way back") from error
    most = np.iinfo(colours.dtype).max
    return np.rint(colours[0] * (stored.white / most)).astype(stored.samples.dtype)


def _png(samples: np.ndarray, stored: Stored, metadata: Metadata) -> bytes:
    channels = samples.shape[2]
    chunks = [
        (kind, content)
        for kind, content in metadata.chunks
        if kind in COLOURS + OTHERS and (kind != b"sBIT" or len(content) == channels)
    ]
    if not metadata.chunks:  # no PNG
        if stored.profile:
            chunks.append((b"iCCP", b"ICC\0\0" + zlib.compress(stored.profile)))
        if metadata.dpi:
            per_metre = [min(round(float(value) / INCH), 2**31 - 1) for value in metadata.dpi]
            chunks.append((b"pHYs", struct.pack(">IIB", *per_metre, 1)))
        if metadata.xmp:
            chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    png = imagecodecs.png_encode(samples[..., 0] if channels == 1 else samples, **PACKING)
    return png[:PNG_START] + b"".join(_chunk(*chunk) for chunk in chunks) + png[PNG_START:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _jpeg(samples: np.ndarray, stored: Stored, metadata: Metadata) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples[..., 0] if stored.mode == "L" else samples).save(
        buffer,
        "JPEG",
        exif=EXIF_START + metadata.exif if metadata.exif else b"",
        xmp=metadata.xmp,
        icc_profile=stored.profile,
        dpi=metadata.dpi or (0, 0),
        **metadata.jpeg,
    )
    return buffer.getvalue()
