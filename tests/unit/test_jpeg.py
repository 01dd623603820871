"""Damaged JPEGs are told from odd ones. What is set aside here was kept at 78c11f5."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from facefill.core.images import UnreadableImage, decode_photo

LIMIT = 10_000_000


def coded(mode: str = "RGB", **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    image = Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, options.pop("kind", "JPEG"), quality=92, **options)
    return buffer.getvalue()


JPEGS = {
    "plain": coded(),
    "progressive": coded(progressive=True),
    "restarts": coded(restart_marker_rows=1),
    "full colour": coded(subsampling=0),
    "grey": coded("L"),
    "inks": coded("CMYK"),
    "RGB": coded(keep_rgb=True),
}
ODD = {
    "without the mark of its end": lambda data: data[:-2],
    "without its last byte": lambda data: data[:-1],
    "padded before its end": lambda data: data[:-2] + bytes(500) + data[-2:],
    "filled before its end": lambda data: data[:-2] + b"\xff" * 50 + data[-2:],
    "a few bytes before its end": lambda data: data[:-2] + b"\x12\x34\x56" + data[-2:],
    "bytes behind its end": lambda data: data + b"a trailer" * 999,
    "half a photo behind its end": lambda data: data + data[: len(data) // 2],
    "bytes between its segments": lambda data: data[:2] + b"\xff\xe5\0\4abJUNK" + data[2:],
    "a JFIF of version 2": lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\2", 1),
    "an unknown Adobe transform": lambda data: (
        data[:2] + b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\x09" + data[2:]
    ),
}


def hole(data: bytes, filling: bytes) -> bytes:
    at = data.index(b"\xff\xda") + (len(data) - data.index(b"\xff\xda")) * 6 // 10
    return data[:at] + filling + data[at + len(filling) :]


DAMAGED = {
    "zeros": lambda data: hole(data, bytes(2000)),
    "text": lambda data: hole(data, b"<html>404</html>" * 125),
    "a part is missing": lambda data: data[: len(data) // 2] + data[len(data) // 2 + 2000 :],
    "cut": lambda data: data[: len(data) * 9 // 10],
    "cut near its end": lambda data: data[:-20],
}


@pytest.mark.parametrize("jpeg", JPEGS)
@pytest.mark.parametrize("how", ODD)
def test_an_odd_photo_is_kept_with_its_pixels(jpeg, how):
    """Without its last bytes it was set aside at 78c11f5."""
    if how == "an unknown Adobe transform" and jpeg in ("inks", "RGB"):
        pytest.skip("there, it says what the colours are")
    usual = decode_photo(JPEGS[jpeg], LIMIT)
    assert (decode_photo(ODD[how](JPEGS[jpeg]), LIMIT) == usual).all()


@pytest.mark.parametrize("jpeg", JPEGS)
@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_photo_is_unreadable(jpeg, how):
    with pytest.raises(UnreadableImage, match=r"a damaged or cut JPEG \(|OSError") as caught:
        decode_photo(DAMAGED[how](JPEGS[jpeg]), LIMIT)
    assert len(str(caught.value).splitlines()) == 1


def test_a_repeated_part_is_damage():
    data = JPEGS["plain"]
    middle = len(data) // 2
    with pytest.raises(UnreadableImage, match="extraneous bytes before marker"):
        decode_photo(data[:middle] + data[middle - 2000 :], LIMIT)


@pytest.mark.parametrize(
    "how", ["bytes between its segments", "a JFIF of version 2", "an unknown Adobe transform"]
)
def test_damage_behind_an_odd_header_is_seen(how):
    """libjpeg tells but its first warning."""
    with pytest.raises(UnreadableImage, match="premature end of data segment"):
        decode_photo(DAMAGED["zeros"](ODD[how](JPEGS["plain"])), LIMIT)


def test_a_progressive_photo_that_ends_between_its_scans_is_cut():
    data = JPEGS["progressive"]
    starts = [scan.start() for scan in re.finditer(b"\xff\xda", data)]
    assert len(starts) > 5
    for start in starts[1:]:
        with pytest.raises(UnreadableImage, match="scans are missing"):
            decode_photo(data[:start], LIMIT)


def test_of_several_photos_in_one_only_the_first_counts():
    data = coded(kind="MPO", save_all=True, append_images=[Image.new("RGB", (99, 99))])
    usual = decode_photo(data, LIMIT)
    assert (decode_photo(data[:-20], LIMIT) == usual).all()
