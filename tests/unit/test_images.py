"""Every kind of picture people keep photos in."""

import io
import resource
import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from facefill.core.images import (
    TooLargeImage,
    UnreadableImage,
    contact_sheet,
    decode_photo,
    png_bytes,
)
from facefill.settings import Align

LIMIT = 10_000_000


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth colour picture, wider than high, without any symmetry."""
    y, x = np.mgrid[:48, :64]
    return np.stack([4 * x, 5 * y, 2 * (x + y)], -1).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def difference(left: np.ndarray, right: np.ndarray) -> float:
    assert left.shape == right.shape and left.dtype == np.uint8
    return np.abs(left.astype(float) - right).max()


# What a viewer must do to show a picture stored with that orientation upright, and its inverse.
STORE = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORE)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_undone(picture, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORE[orientation](picture)))
    options = {"lossless": True} if kind == "WEBP" else {}
    if kind == "JPEG":
        options = {"quality": 95, "subsampling": 0}
    data = encoded(stored, kind, exif=exif, **options)
    assert difference(decode_photo(data, LIMIT), picture) <= 12


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_lossless_colour(picture, kind):
    data = encoded(Image.fromarray(picture), kind)
    assert difference(decode_photo(data, LIMIT), picture) == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey(picture, kind):
    grey = picture[..., 0]
    decoded = decode_photo(encoded(Image.fromarray(grey), kind), LIMIT)
    assert difference(decoded, np.repeat(grey[..., None], 3, 2)) <= 12


def test_black_and_white():
    bits = np.indices((50, 50)).sum(0) % 3 == 0
    decoded = decode_photo(encoded(Image.fromarray(bits), "PNG"), LIMIT)
    assert difference(decoded, np.repeat(bits[..., None], 3, 2) * np.uint8(255)) == 0


def test_transparency_lies_on_white(picture):
    alpha = np.zeros(picture.shape[:2], np.uint8)
    alpha[:, 20:] = 255
    alpha[:, 40:] = 128
    decoded = decode_photo(encoded(Image.fromarray(np.dstack([picture, alpha])), "PNG"), LIMIT)
    assert (decoded[:, :20] == 255).all()
    assert difference(decoded[:, 20:40], picture[:, 20:40]) == 0
    half = 255 - (255 - picture[:, 40:].astype(float)) * 128 / 255
    assert np.abs(decoded[:, 40:] - half).max() <= 1


def test_grey_with_transparency():
    pixels = np.zeros((40, 40, 2), np.uint8)
    pixels[:20] = (90, 255)
    decoded = decode_photo(encoded(Image.fromarray(pixels), "PNG"), LIMIT)
    assert (decoded[:20] == 90).all() and (decoded[20:] == 255).all()


def test_cmyk(picture):
    data = encoded(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=95)
    assert difference(decode_photo(data, LIMIT), picture) <= 24


def test_sixteen_bits_are_scaled_not_clipped():
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    for kind in ("PNG", "TIFF"):
        decoded = decode_photo(encoded(Image.fromarray(ramp), kind), LIMIT)
        expected = np.repeat((ramp / 257).round()[..., None], 3, 2)
        assert np.abs(decoded - expected).max() <= 1


def test_sixteen_bits_per_colour():
    wide = np.zeros((8, 8, 3), ">u2")
    wide[..., 0], wide[..., 1] = 0xFFFF, 0x8000
    decoded = decode_photo(png(8, 8, wide.tobytes(), bits=16), LIMIT)
    assert (decoded[..., 0] == 255).all() and (decoded[..., 1] == 128).all()
    assert not decoded[..., 2].any()


def test_palette(picture):
    image = Image.fromarray(picture).quantize(256)
    decoded = decode_photo(encoded(image, "PNG"), LIMIT)
    assert difference(decoded, np.asarray(image.convert("RGB"))) == 0


def test_palette_with_a_transparent_colour():
    image = Image.fromarray(np.array([[0, 1]] * 40, np.uint8).repeat(20, 1), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    decoded = decode_photo(encoded(image, "PNG", transparency=0), LIMIT)
    assert (decoded[:, :20] == 255).all() and (decoded[:, 20:] == (200, 100, 50)).all()


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (50, 40), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (decode_photo(data, LIMIT) == (255, 0, 0)).all()


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, pixels: bytes, bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    stride = width * 3 * bits // 8
    rows = b"".join(b"\0" + pixels[at : at + stride] for at in range(0, len(pixels), stride))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [5000, 30_000, 2**31 - 1])
def test_a_huge_header_is_believed_not_decoded(side):
    with pytest.raises(TooLargeImage):
        decode_photo(png(side, side, b""), LIMIT)


def test_the_limit_itself_is_allowed(picture):
    data = png_bytes(picture)
    assert decode_photo(data, picture.shape[0] * picture.shape[1]).shape == picture.shape
    with pytest.raises(TooLargeImage, match="64x48 pixels"):
        decode_photo(data, picture.shape[0] * picture.shape[1] - 1)


def test_the_limit_is_that_of_one_photo(picture):
    """Other pictures that the process opens are not measured by it."""
    before = Image.MAX_IMAGE_PIXELS
    decode_photo(png_bytes(picture), LIMIT)
    with pytest.raises(TooLargeImage):
        decode_photo(png_bytes(picture), 1)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(("width", "height"), [(65_536, 1), (1, 65_536)])
def test_a_side_that_the_detector_cannot_take_is_too_large(width, height):
    with pytest.raises(TooLargeImage, match=f"{width}x{height} pixels, a side has more than 65535"):
        decode_photo(png(width, height, bytes(width * height * 3)), LIMIT)
    assert decode_photo(png(65_535, 1, bytes(65_535 * 3)), LIMIT).shape == (1, 65_535, 3)


def test_a_gif_cannot_ask_for_memory_while_it_is_opened():
    """Its frame is cleared before anybody can look at its size."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x4c\x01\0;"
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    before = peak_megabytes()
    with pytest.raises(TooLargeImage, match="more than 10000000 pixels"):
        decode_photo(screen + b"!\xf9\x04\x08\0\0\0\0" + frame, LIMIT)
    assert peak_megabytes() - before < 500


def peak_megabytes() -> float:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_megabytes_of_text_harm_no_picture(picture, kind):
    plain = png_bytes(picture)
    for megabytes, good in ((2, True), (80, False)):
        text = zlib.compress(bytes(megabytes << 20))
        content = {"zTXt": b"k\0\0", "iTXt": b"k\0\1\0\0\0", "iCCP": b"k\0\0"}[kind] + text
        data = plain[:33] + chunk(kind.encode(), content) + plain[33:]
        if good:
            assert difference(decode_photo(data, LIMIT), picture) == 0
        else:
            with pytest.raises(UnreadableImage):
                decode_photo(data, LIMIT)


@pytest.mark.parametrize("scans", [100, 100_000])
def test_a_jpeg_of_endless_scans_is_refused_at_once(scans):
    data = encoded(Image.new("L", (640, 480), 100), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    if scans == 100:
        assert decode_photo(data[:-2] + scans * last + data[-2:], LIMIT).shape == (480, 640, 3)
        return
    with pytest.raises(UnreadableImage, match="a JPEG of more than 500 scans"):
        decode_photo(data[:-2] + scans * last + data[-2:], LIMIT)


@pytest.mark.parametrize("orientation", [0, 9, 99, 65_535])
def test_an_impossible_orientation_turns_nothing(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(picture), "PNG", exif=exif)
    assert difference(decode_photo(data, LIMIT), picture) == 0


@pytest.mark.parametrize(
    "exif", [b"garbage", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_harms_no_picture(picture, exif):
    plain = png_bytes(picture)
    data = plain[:33] + chunk(b"eXIf", exif) + plain[33:]
    assert difference(decode_photo(data, LIMIT), picture) == 0
    raw = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n  5\nno hexadecimal")
    data = plain[:33] + chunk(b"zTXt", raw) + plain[33:]
    assert difference(decode_photo(data, LIMIT), picture) == 0


def test_numbers_that_are_none_are_black_or_white():
    values = np.array([[np.nan, np.inf, -np.inf, 255.0, 0.0]] * 8, np.float32)
    decoded = decode_photo(encoded(Image.fromarray(values), "TIFF"), LIMIT)
    assert decoded[0, :, 0].tolist() == [0, 255, 0, 255, 0]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "an empty file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture, or damaged"),
        (b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x08\0\0\0\x08\0\x08\0\3", "a Photoshop document"),
        (b"\0\0\0\x18ftypmif1" + bytes(50), "a HEIC picture; convert it to JPEG"),
    ],
)
def test_other_files_are_described_the_same_way_every_time(data, says):
    messages = set()
    for _ in range(3):
        with pytest.raises(UnreadableImage, match=says) as caught:
            decode_photo(data, LIMIT)
        messages.add(str(caught.value))
    assert len(messages) == 1 and " at 0x" not in messages.pop()


def box(major: str, *compatible: str) -> bytes:
    brands = b"".join(brand.encode() for brand in compatible)
    size = struct.pack(">I", 16 + len(brands))
    return size + b"ftyp" + major.encode() + bytes(4) + brands + bytes(500)


def raw(*pages: tuple[int, dict]) -> bytes:
    """A TIFF of pages of that height and these tags, as cameras write them."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for height, tags in pages:
            shape = (height, 64) if tags["photometric"] == CFA else (height, 64, 3)
            writer.write(np.zeros(shape, np.uint16), **tags)
    return buffer.getvalue()


CFA, LINEAR = 32_803, 34_892
PREVIEW = {"photometric": "rgb", "subfiletype": 1}
DNG = [(50_706, "B", 4, bytes([1, 4, 0, 0]), True)]
BRANDS = ("avci", "avcs", "heic", "heim", "heix", "hevc", "hevx", "miaf", "msf1")
HEIC = "a HEIC picture; convert it to JPEG"
RAW = "a camera's raw file; convert it to JPEG"
VIDEO = "a video; save its frames as JPEG"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        *(
            (box(brand), HEIC)
            for brand in ["avci", "avcs", "heic", "heim", "heix", "hevc", "hevx", "miaf", "msf1"]
        ),
        (box("mif1", "heic", "miaf"), HEIC),
        (box("abcd", "mif1", "heix"), HEIC),
        (box("crx ", "isom"), RAW),
        (box("isom", "mp42"), VIDEO),
        (box("qt  "), VIDEO),
        (b"\0\0\1\0moov" + bytes(99), VIDEO),
        (b"\x1aE\xdf\xa3" + bytes(99), VIDEO),
        (b"\xff\x0a" + bytes(99), "a JPEG XL picture; convert it to JPEG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "a JPEG XL picture; convert it to JPEG"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(99), RAW),
        (b"IIRO\x08\0\0\0" + bytes(99), RAW),
        (b"IIU\0\x08\0\0\0" + bytes(99), RAW),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), RAW),
        (raw((48, PREVIEW | {"subifds": 1}), (480, {"photometric": CFA})), RAW),
        (raw((480, {"photometric": LINEAR})), RAW),
        (raw((48, PREVIEW | {"extratags": DNG})), RAW),
        (b"%PDF-1.7" + bytes(99), "a PDF document; save its photos as JPEG"),
        (b"PK\3\4" + bytes(99), "an archive; extract its photos"),
        (b"\n<!DOCTYPE html><html>404</html>", "a web page, not the picture that it may show"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(data, says):
    """At 78c11f5, "no picture" or, of raw files that are TIFFs, decoded as their thumbnail."""
    with pytest.raises(UnreadableImage) as caught:
        decode_photo(data, LIMIT)
    assert str(caught.value) == says


def test_brands_of_avif_are_read(picture):
    data = encoded(Image.fromarray(picture), "AVIF", quality=95)
    for brand in (b"avif", b"mif1"):
        decoded = decode_photo(data.replace(b"ftypavif", b"ftyp" + brand), LIMIT)
        assert difference(decoded, picture) <= 40


def test_two_hundred_megapixels_are_a_photo():
    """A phone's 16320x12240, and another's 16384x12288; at 78c11f5, 150 million was the limit."""
    limit = Align().max_pixels
    for width, height in ((16_320, 12_240), (16_384, 12_288)):
        with pytest.raises(UnreadableImage):  # its header is believed, and its pixels are missing
            decode_photo(png(width, height, b""), limit)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_photo_is_unreadable(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(UnreadableImage):
        decode_photo(data[: int(share * len(data))], LIMIT)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"<html>404</html>", b"\0" * 1000])
def test_what_is_no_image_is_unreadable(data):
    with pytest.raises(UnreadableImage) as caught:
        decode_photo(data, LIMIT)
    assert "\n" not in str(caught.value)


def test_damage_anywhere_never_escapes():
    noise = np.random.default_rng(1)
    pixels = noise.integers(0, 256, (40, 40, 3), np.uint8)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP"):
        whole = encoded(Image.fromarray(pixels), kind)
        for _ in range(100):
            data = bytearray(whole)
            for place in noise.integers(0, min(len(data), 400), 4):
                data[place] = noise.integers(0, 256)
            try:
                decoded = decode_photo(bytes(data), LIMIT)
            except (UnreadableImage, TooLargeImage):
                continue
            assert decoded.dtype == np.uint8 and decoded.ndim == 3 and decoded.shape[2] == 3


def test_png_bytes_read_back(picture):
    assert difference(decode_photo(png_bytes(picture), LIMIT), picture) == 0
    assert png_bytes(picture) == png_bytes(picture.copy())


def test_contact_sheet_places_every_picture():
    images = np.stack([np.full((4, 6, 3), number, np.uint8) for number in range(5)])
    sheet = contact_sheet(images, columns=3, scale=2, gap=1)
    assert sheet.shape == (2 * 8 + 1, 3 * 12 + 2, 3)
    assert (sheet[:8, 13:25] == 1).all() and (sheet[9:, 13:25] == 4).all()
    assert (sheet[8] == 255).all() and (sheet[9:, 26:] == 255).all()
