"""A photograph written with a filled hole keeps every other pixel as it is stored."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from facefill.core.colour import PRIMARIES_ADOBE, described
from facefill.core.images import TURNS as PILLOW_TURNS
from facefill.core.images import TooLargeImage, UnreadableImage, decode_photo
from facefill.restore.original import TURNS, open_original

LIMIT = 10**7
ADOBE = described(PRIMARIES_ADOBE, 563 / 256)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MODES = ("1", "L", "LA", "P", "P with alpha", "RGB", "RGBA", *[f"{c}16" for c in range(1, 5)])


def png(samples):
    return imagecodecs.png_encode(samples[..., 0] if samples.shape[2] == 1 else samples)


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "a maker"
    return exif.tobytes()


def with_chunk(data, kind, content):
    chunk = imagecodecs.zlib_crc32(kind + content)
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", chunk)
    return data[:33] + chunk + data[33:]


def stored_pixels(data):
    """The samples of a PNG, palettes as colours: [height, width, channels]."""
    image = Image.open(io.BytesIO(data))
    if data[24] == 16:
        samples = imagecodecs.png_decode(data)
    else:
        alpha = "transparency" in image.info
        modes = {"1": "L", "P": "RGBA" if alpha else "RGB"}
        samples = np.asarray(image.convert(modes.get(image.mode, image.mode)))
    return samples.reshape(*samples.shape[:2], -1)


def photo(mode, height, width, seed):
    """A PNG of noise."""
    random = np.random.default_rng(seed)
    if mode.endswith("16"):
        return png(random.integers(0, 65536, (height, width, int(mode[0])), np.uint16))
    if mode.startswith("P"):
        image = Image.fromarray(random.integers(0, 32, (height, width), np.uint8), "P")
        image.putpalette(random.integers(0, 256, 96, np.uint8).tobytes())
        alpha = bytes([0, 255, 100] * 10) if mode == "P with alpha" else None
        return saved(image, transparency=alpha) if alpha else saved(image)
    channels = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    samples = random.integers(0, 256, (height, width, channels), np.uint8)
    image = Image.fromarray(samples[..., 0] if channels == 1 else samples)
    return saved(image.convert("1") if mode == "1" else image)


@st.composite
def photos_with_holes(draw):
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    orientation = draw(st.integers(1, 8))
    data = photo(draw(st.sampled_from(MODES)), height, width, draw(st.integers(0, 99)))
    data = with_chunk(data, b"eXIf", oriented(orientation)[6:])
    upright = (width, height) if orientation > 4 else (height, width)
    known = np.ones(upright, bool)
    top, left = draw(st.integers(0, upright[0] - 1)), draw(st.integers(0, upright[1] - 1))
    known[top : top + draw(st.integers(1, 9)), left : left + draw(st.integers(1, 9))] = False
    return data, known


@given(photos_with_holes())
@settings(deadline=None)
def test_known_pixels_keep_their_stored_values(given):
    data, known = given
    original = open_original(data, LIMIT)
    fill = np.full((*known.shape, 3), (255, 0, 0), np.uint8)
    made, suffix = original.encode(fill, known, "png")
    assert suffix == ".png" and original.note == ""
    assert original.pixels.shape[:2] == known.shape
    before, after = stored_pixels(data), stored_pixels(made)
    assert before.shape == after.shape and before.dtype == after.dtype
    assert original.stored == before.shape[:2]
    known_as_stored = original.turn(np.arange(before[..., 0].size).reshape(original.stored))[known]
    before, after = (samples.reshape(-1, samples.shape[2]) for samples in (before, after))
    np.testing.assert_array_equal(before[known_as_stored], after[known_as_stored])
    # What a viewer sees is the fill, upright.
    red = (76, 76, 76) if before.shape[1] < 3 else (255, 0, 0)
    assert (decode_photo(made, LIMIT)[~known] == red).all()


@given(photos_with_holes())
@settings(deadline=None, max_examples=30)
def test_a_photo_without_a_hole_is_the_same_photo(given):
    data, known = given
    original = open_original(data, LIMIT)
    known[:] = True
    made, _ = original.encode(original.pixels, known, "png")
    np.testing.assert_array_equal(stored_pixels(made), stored_pixels(data))
    np.testing.assert_array_equal(decode_photo(made, LIMIT), original.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_pillows(orientation):
    data = with_chunk(photo("RGB", 5, 7, 0), b"eXIf", oriented(orientation)[6:])
    original = open_original(data, LIMIT)
    image = Image.open(io.BytesIO(data))
    stored = np.asarray(image)
    turned = image if orientation == 1 else image.transpose(PILLOW_TURNS[orientation])
    upright = np.asarray(turned)
    np.testing.assert_array_equal(original.turn(stored), upright)
    np.testing.assert_array_equal(original._turn_back(upright), stored)
    assert TURNS.keys() == PILLOW_TURNS.keys()


def smooth(height=40, width=48):
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 5 * y, 2 * (x + y)], -1).clip(0, 255).astype(np.uint8)


def hole(shape):
    known = np.ones(shape[:2], bool)
    known[8:20, 10:30] = False
    return known


@pytest.mark.parametrize("deep", [False, True])
def test_the_fill_is_converted_to_the_photos_profile(deep):
    samples = smooth().astype(np.uint16) * 257 if deep else smooth()
    profile = b"ICC\0\0" + imagecodecs.zlib_encode(ADOBE)
    data = with_chunk(png(samples), b"iCCP", profile)
    original = open_original(data, LIMIT)
    assert np.abs(original.pixels.astype(int) - smooth()).max() > 10
    fill = (smooth() // 2 + 60)[:, ::-1].copy()
    made, _ = original.encode(fill, hole(fill.shape), "png")
    seen = decode_photo(made, LIMIT)[~hole(fill.shape)].astype(int)
    assert np.abs(seen - fill[~hole(fill.shape)]).max() <= 2
    assert Image.open(io.BytesIO(made)).info["icc_profile"] == ADOBE


def test_a_grey_photo_stays_grey_and_its_profile_is_heeded():
    grey = described((0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06), 1.0, True)
    data = saved(Image.fromarray(smooth()[..., 0]), icc_profile=grey)
    original = open_original(data, LIMIT)
    fill = np.full_like(smooth(), 200)
    made, _ = original.encode(fill, hole(fill.shape), "png")
    assert Image.open(io.BytesIO(made)).mode == "L"
    seen = decode_photo(made, LIMIT)[~hole(fill.shape)].astype(int)
    assert np.abs(seen - 200).max() <= 1


def test_what_is_filled_is_opaque_and_other_opacity_stays():
    rgba = np.dstack([smooth(), np.full((40, 48), 90, np.uint8)])
    rgba[~hole(rgba.shape), 3] = 0
    original = open_original(saved(Image.fromarray(rgba)), LIMIT)
    np.testing.assert_array_equal(original.opacity, rgba[..., 3])
    made, _ = original.encode(smooth(), hole(rgba.shape), "png")
    opacity = np.asarray(Image.open(io.BytesIO(made)))[..., 3]
    np.testing.assert_array_equal(opacity, np.where(hole(rgba.shape), 90, 255))


def test_an_opacity_that_hides_everything_is_left_out():
    rgba = np.dstack([smooth(), np.zeros((40, 48), np.uint8)])
    original = open_original(saved(Image.fromarray(rgba)), LIMIT)
    assert original.opacity is None and "opacity" in original.note
    made, _ = original.encode(smooth(), hole(rgba.shape), "png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(made))), smooth())


THUMBNAIL = saved(Image.new("RGB", (8, 8), "red"), "JPEG")


def with_thumbnail():
    """EXIF with orientation 6, and a second directory with a thumbnail."""
    maker = b"a maker\0"
    entries = struct.pack("<HHII", 271, 2, len(maker), 38) + struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    first = struct.pack("<H", 2) + entries + struct.pack("<I", 46)
    second = struct.pack("<H", 2)
    second += struct.pack("<HHII", 513, 4, 1, 46 + 30) + struct.pack("<HHII", 514, 4, 1, 999)
    return b"II*\0" + struct.pack("<I", 8) + first + maker + second + bytes(4) + THUMBNAIL


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("format", ["png", "same"])
def test_metadata_survive_but_the_thumbnail(kind, format):
    exif = b"Exif\0\0" + with_thumbnail()
    options = {} if kind == "WEBP" else {"dpi": (300, 300)}
    data = saved(Image.fromarray(smooth()), kind, exif=exif, icc_profile=SRGB, **options)
    original = open_original(data, LIMIT)
    known = original.turn(hole((40, 48)))
    made, suffix = original.encode(original.pixels, known, format)
    assert suffix == (".jpg" if (kind, format) == ("JPEG", "same") else ".png")
    image = Image.open(io.BytesIO(made))
    assert image.size == (48, 40) and image.info["icc_profile"] == SRGB
    after = image.info["exif"]
    assert len(after) == len(exif) and sum(a != b for a, b in zip(exif, after, strict=True)) == 1
    tags = image.getexif()
    assert tags[274] == 6 and tags[271] == "a maker"
    assert not tags.get_ifd(1)
    if options:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert decode_photo(made, LIMIT).shape == (48, 40, 3)


def test_a_png_keeps_its_texts_and_chunks_of_colour():
    data = png(smooth())
    chunks = {
        b"gAMA": struct.pack(">I", 100000),
        b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000),
        b"tEXt": b"Title\0a title",
        b"sBIT": b"\5\6\5",
    }
    for kind, content in chunks.items():
        data = with_chunk(data, kind, content)
    original = open_original(data, LIMIT)
    made, _ = original.encode(original.pixels, hole((40, 48)), "png")
    assert all(struct.pack(">I", len(chunks[k])) + k + chunks[k] in made for k in chunks)
    seen = decode_photo(made, LIMIT).astype(int)
    assert np.abs(seen - original.pixels).max() <= 3


def test_a_jpeg_of_the_same_quantisation():
    data = saved(Image.fromarray(smooth()), "JPEG", quality=37, subsampling=1, progressive=True)
    original = open_original(data, LIMIT)
    made, suffix = original.encode(original.pixels, hole((40, 48)), "same")
    before, after = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(made))
    assert suffix == ".jpg" and before.quantization == after.quantization
    assert before.layer == after.layer and after.info["progressive"]
    difference = np.abs(decode_photo(made, LIMIT).astype(int) - original.pixels)
    assert difference.max() <= 4


def test_deep_photos_are_filled_on_their_own_scale():
    """12 bits in 16, as a scanner stores them."""
    samples = smooth().astype(np.uint16) * 16
    samples[0, 0] = 4095
    original = open_original(with_chunk(png(samples), b"sBIT", b"\x0c\x0c\x0c"), LIMIT)
    fill = np.full_like(smooth(), 255)
    made, _ = original.encode(fill, hole(fill.shape), "png")
    after = imagecodecs.png_decode(made)
    assert after.dtype == np.uint16 and (after[~hole(fill.shape)] == 4095).all()
    np.testing.assert_array_equal(after[hole(fill.shape)], samples[hole(fill.shape)])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_tiff_of_16_bits_keeps_them(channels, planes):
    samples = np.random.default_rng(0).integers(0, 65536, (40, 48, channels)).astype(np.uint16)
    stored = np.moveaxis(samples, -1, 0) if planes == "separate" else samples
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        stored[..., 0] if channels == 1 and planes == "contig" else stored,
        photometric="rgb" if channels > 1 else "minisblack",
        planarconfig=planes if channels > 1 else None,
        extrasamples=["unassalpha"] if channels == 4 else None,
        extratags=[(274, "H", 1, 6, False), (271, "s", 0, "a maker", False)],
        resolution=(150, 150),
        resolutionunit="inch",
    )
    original = open_original(buffer.getvalue(), LIMIT)
    known = original.turn(hole((40, 48)))
    made, _ = original.encode(original.pixels, known, "same")
    after = stored_pixels(made)
    assert original.note == "" and after.dtype == np.uint16
    np.testing.assert_array_equal(after[hole((40, 48))], samples[hole((40, 48))])
    assert np.abs(decode_photo(made, LIMIT).astype(int) - original.pixels)[known].max() == 0
    image = Image.open(io.BytesIO(made))
    assert image.getexif()[274] == 6 and image.getexif()[271] == "a maker"
    assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def unkept(kind):
    picture = Image.fromarray(smooth())
    if kind == "CMYK":
        return saved(picture.convert("CMYK"), "JPEG", exif=oriented(6))
    buffer = io.BytesIO()
    samples = smooth().astype(np.float32) / 255
    tifffile.imwrite(buffer, samples, photometric="rgb", extratags=[(274, "H", 1, 6, False)])
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["CMYK", "float"])
@pytest.mark.parametrize("format", ["png", "same"])
def test_what_cannot_be_kept_is_srgb_and_said(kind, format):
    original = open_original(unkept(kind), LIMIT)
    assert kind.lower() in original.note.lower() and "sRGB" in original.note
    known = original.turn(hole((40, 48)))
    made, _ = original.encode(original.pixels, known, format)
    seen = decode_photo(made, LIMIT)
    assert seen.shape == (48, 40, 3)
    assert np.abs(seen.astype(int) - original.pixels).max() <= (0 if format == "png" else 12)


def test_of_an_animation_the_first_picture_and_said():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    original = open_original(data, LIMIT)
    assert original.note == "one of the 2 pictures in the file"
    made, suffix = original.encode(original.pixels, np.ones((20, 20), bool), "same")
    assert suffix == ".png" and (decode_photo(made, LIMIT) == (255, 0, 0)).all()


def test_damaged_metadata_harm_nothing():
    data = with_chunk(photo("RGB", 9, 8, 0), b"eXIf", b"II*\0\xff\xff\xff\xff")
    original = open_original(data, LIMIT)
    made, _ = original.encode(original.pixels, np.ones((9, 8), bool), "png")
    np.testing.assert_array_equal(stored_pixels(made), stored_pixels(data))


def test_what_is_no_photo_is_refused():
    with pytest.raises(UnreadableImage):
        open_original(b"no picture", LIMIT)
    with pytest.raises(TooLargeImage):
        open_original(photo("RGB", 20, 20, 0), 399)
