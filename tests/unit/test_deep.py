"""TIFFs of all kinds, and samples of more than 8 bits.

At 78c11f5 they were nearly black, in false colours, a thumbnail or "no picture" where nothing else
is said.
"""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from facefill.core.deep import full_scale
from facefill.core.images import TooLargeImage, UnreadableImage, decode_photo

LIMIT = 10_000_000


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth colour picture with a bright and a black corner."""
    y, x = np.mgrid[:48, :64]
    picture = np.stack([4 * x, 5 * y, 2 * (x + y)], -1).astype(np.uint8)
    picture[:4, :4], picture[-4:, -4:] = 0, 255
    return picture


def tiff(*pages: tuple[np.ndarray, dict], **options) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as writer:
        for pixels, tags in pages:
            writer.write(pixels, **tags)
    return buffer.getvalue()


def colours(pixels: np.ndarray, byteorder: str = "<", **tags) -> bytes:
    return tiff((pixels, {"photometric": "rgb", **tags}), byteorder=byteorder)


def planes(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def difference(data: bytes, picture: np.ndarray) -> float:
    decoded = decode_photo(data, LIMIT)
    assert decoded.shape == (*picture.shape[:2], 3)
    return np.abs(decoded.astype(float) - picture.reshape(*picture.shape[:2], -1)).max()


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd"])
def test_full_sixteen_bits_keep_their_pixels(picture, compression):
    """Those were right at 78c11f5."""
    wide = picture.astype(np.uint16) << 8 | 0x7F
    for data in (colours(wide, compression=compression), colours(wide, byteorder=">")):
        assert difference(data, picture) == 0
    grey = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    data = tiff((grey, {"photometric": "minisblack", "compression": compression}))
    assert difference(data, np.rint(grey / 257)) == 0


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("bits", [10, 12])
def test_fewer_bits_in_sixteen(picture, bits, compression):
    wide = picture.astype(np.uint16) << (bits - 8)
    assert difference(colours(wide, compression=compression), picture) == 0
    grey = tiff((wide[..., 0], {"photometric": "minisblack", "compression": compression}))
    assert difference(grey, picture[..., 0]) <= 1
    saturated = wide.copy()
    saturated[-1, -1] = 2**bits - 1
    assert difference(colours(saturated), picture) == 0


def test_declared_bits_count_first(picture):
    dim = picture.astype(np.uint16) << 4
    packed = (picture >> 1).astype(np.uint16) << 4
    assert difference(colours(packed, bitspersample=12), picture >> 1) == 0
    for count in (1, 3):
        value = 16_383 if count == 1 else (16_383,) * 3
        tag = (281, "H", count, value, True)
        assert difference(colours(dim << 2, extratags=[tag]), picture) == 0
    wrong = (281, "H", 1, 255, True)
    assert difference(colours(dim << 4, extratags=[wrong]), picture) == 0


def test_a_dark_photo_stays_dark(picture):
    dark = picture.astype(np.uint16) * 40  # up to 10,200 of 65,535
    assert difference(colours(dark), dark >> 8) == 0


@pytest.mark.parametrize(
    ("samples", "top"),
    [
        (np.array([0, 200], np.uint16), 255),
        (np.array([0, 1023], np.uint16), 1023),
        (np.array([0, 3900], np.uint16), 4095),
        (np.array([0, 16_383], np.uint16), 16_383),
        (np.array([0, 16_382], np.uint16), 65_535),
        (np.array([0, 16_384], np.uint16), 65_535),
        (np.array([-5, 30_000], np.int16), 32_767),
        (np.array([0, 2**31], np.uint32), 2**32 - 1),
        (np.array([0, 1.0, np.nan, np.inf]), 1),
        (np.array([0, 0.5] * 99 + [40.0]), 1),
        (np.array([0, 254.5]), 255),
        (np.array([0, 60_000.0]), 65_535),
        (np.array([np.nan]), 1),
    ],
)
def test_what_white_is(samples, top):
    assert full_scale(samples, 16) == top


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}])
def test_floats_from_0_to_1(picture, kind, options):
    shares = (picture / 255).astype(kind)
    shares[0, 0] = np.nan
    assert difference(colours(shares, **options), picture) <= 1
    grey = tiff((shares[..., 0], {"photometric": "minisblack", **options}))
    assert difference(grey, picture[..., 0]) <= 1
    assert difference(colours(shares.astype(np.float32) * 65_535, **options), picture) <= 1


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_planes(picture, compression):
    tags = {"planarconfig": "separate", "compression": compression}
    wide = picture.astype(np.uint16) * 257
    assert difference(colours(planes(wide), **tags), picture) == 0
    assert difference(colours(planes(wide), byteorder=">", **tags), picture) == 0
    assert difference(colours(planes(picture), **tags), picture) == 0
    assert difference(colours(planes(picture / np.float32(255)), **tags), picture) == 0


def test_white_is_zero(picture):
    grey = picture[..., 0]
    for inverted in (65_535 - grey.astype(np.uint16) * 257, 255 - grey):
        assert difference(tiff((inverted, {"photometric": "miniswhite"})), grey) == 0
    twelve = 4095 - (grey.astype(np.uint16) << 4)
    assert difference(tiff((twelve, {"photometric": "miniswhite"})), grey) <= 1


def test_other_samples(picture):
    wide = picture.astype(np.uint16) * 257
    opaque = np.dstack([wide, np.full(picture.shape[:2], 65_535, np.uint16)])
    assert difference(colours(opaque, extrasamples=["unassalpha"]), picture) == 0
    assert difference(colours(opaque >> [4, 4, 4, 0], extrasamples=["unassalpha"]), picture) == 0
    more = np.dstack([opaque, wide[..., :2]])
    assert difference(colours(more, planarconfig="contig"), picture) == 0
    assert difference(colours(picture.astype(np.int16) << 7), picture) == 0
    assert difference(colours(picture.astype(np.uint32) * 16_843_009), picture) == 0
    inks = np.asarray(Image.fromarray(picture).convert("CMYK")).astype(np.uint16) * 257
    assert difference(tiff((inks, {"photometric": "separated"})), picture) == 0


def test_a_deep_photo_is_put_upright(picture):
    turned = np.ascontiguousarray(np.rot90(picture)).astype(np.uint16) * 257
    assert difference(colours(turned, extratags=[(274, "H", 1, 6, True)]), picture) == 0


def pages(picture: np.ndarray) -> dict[str, tuple[tuple[np.ndarray, dict], ...]]:
    small, large = picture[::4, ::4], np.zeros((200, 300, 3), np.uint8)
    rgb = {"photometric": "rgb"}
    return {
        "a thumbnail before it": ((small, rgb), (picture, rgb)),
        "a thumbnail that says so before it": ((small, rgb | {"subfiletype": 1}), (picture, rgb)),
        "a thumbnail behind it": ((picture, rgb), (small, rgb)),
        "the photo inside the thumbnail": ((small, rgb | {"subifds": 1}), (picture, rgb)),
        "the thumbnail inside the photo": ((picture, rgb | {"subifds": 1}), (small, rgb)),
        "a larger page that says it is a copy": ((picture, rgb), (large, rgb | {"subfiletype": 1})),
        "another photo behind it": ((picture, rgb), (255 - picture, rgb)),
    }


@pytest.mark.parametrize("how", pages(np.zeros((48, 64, 3), np.uint8)))
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_the_photo_is_the_largest_page(picture, how, options):
    assert difference(tiff(*pages(picture)[how], **options), picture) == 0
    wide = picture.astype(np.uint16) << 4
    assert difference(tiff(*pages(wide)[how], **options), picture) == 0


def test_the_size_is_checked_before_a_page_is_decoded():
    large = np.zeros((1001, 1000, 3), np.uint16)
    with pytest.raises(TooLargeImage, match="1000x1001 pixels"):
        decode_photo(colours(large, compression="zlib"), 1_000_000)


def test_a_tiff_of_endless_samples_asks_for_no_memory(picture):
    """60,000 samples of each of 3072 pixels would be 369 MB, of a photo's terabytes."""
    data = bytearray(colours(picture.astype(np.uint16)))
    at = data.index(struct.pack("<HHIH", 277, 3, 1, 3))  # SamplesPerPixel
    data[at + 8 : at + 10] = struct.pack("<H", 60_000)
    tracemalloc.start()
    with pytest.raises(UnreadableImage):
        decode_photo(bytes(data), LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


@pytest.mark.parametrize("cut", [0.3, 0.9])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_a_truncated_tiff_is_unreadable(compression, cut):
    noise = np.random.default_rng(0).integers(0, 65_536, (90, 80, 3), np.uint16)
    for pixels in (noise, (noise >> 8).astype(np.uint8)):
        data = colours(pixels, compression=compression)
        with pytest.raises(UnreadableImage):
            decode_photo(data[: int(cut * len(data))], LIMIT)


def test_a_pgm_of_twelve_bits_in_sixteen(picture):
    grey = picture[..., 0].astype(np.uint16)
    for most, shift in ((65_535, 4), (4095, 4), (1023, 2)):
        data = b"P5 64 48 %d\n" % most + (grey << shift).astype(">u2").tobytes()
        assert difference(data, picture[..., 0]) <= 1


# -- PNG -----------------------------------------------------------------------------------------


def png(pixels: np.ndarray, bits: int | None = None) -> bytes:
    order = [2, 1, 0, 3][: pixels.shape[-1]] if pixels.ndim == 3 else slice(None)
    data = cv2.imencode(".png", pixels[..., order] if pixels.ndim == 3 else pixels)[1].tobytes()
    if bits is None:
        return data
    content = bytes([bits] * (pixels.shape[2] if pixels.ndim == 3 else 1))
    checksum = struct.pack(">I", zlib.crc32(b"sBIT" + content))
    return data[:33] + struct.pack(">I", len(content)) + b"sBIT" + content + checksum + data[33:]


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_png_of_fewer_bits_in_sixteen(picture, bits):
    wide = picture.astype(np.uint16) << (bits - 8)
    opaque = np.dstack([wide, np.full(picture.shape[:2], 65_535, np.uint16)])
    for pixels in (wide, opaque):
        assert difference(png(pixels, bits), picture) == 0
    assert difference(png(wide[..., 0], bits), picture[..., 0]) <= 1
    if bits < 14:
        assert difference(png(wide), picture) == 0


def test_a_png_that_says_how_many_of_its_bits_count_keeps_its_pixels(picture):
    """As the standard wants them: scaled to 16. Those were right at 78c11f5."""
    wide = picture.astype(np.uint16) << 8
    assert difference(png(wide), picture) == difference(png(wide, 12), picture) == 0


@pytest.mark.parametrize("opacity", [0, 1])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_where_nothing_is_seen_the_colours_are_the_photo(picture, opacity, kind):
    alpha = np.full(picture.shape[:2], opacity, np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    for pixels in (np.dstack([picture, alpha]), np.dstack([picture[..., 0], alpha])):
        if kind == "WEBP" and pixels.shape[2] == 2:
            continue
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        assert difference(buffer.getvalue(), pixels[..., :-1]) == 0
    wide = np.dstack([picture.astype(np.uint16) * 257, alpha.astype(np.uint16)])
    assert difference(png(wide), picture) == 0
