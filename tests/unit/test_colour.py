"""What the numbers of a photo mean: profiles, gamma and primaries. All of it failed at 78c11f5."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from facefill.core.colour import D65, PRIMARIES, PRIMARIES_ADOBE, PRIMARIES_SRGB, described
from facefill.core.images import decode_photo

P3 = PRIMARIES[12]
PROPHOTO = (0.3457, 0.3585, 0.734699, 0.265301, 0.159597, 0.840403, 0.036598, 0.000105)
GAMMA = {P3: None, PRIMARIES_ADOBE: 563 / 256, PROPHOTO: 1.8}


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Colours of all kinds, many of them outside of sRGB when they are of a wider space."""
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return decode_photo(data, 10_000_000).astype(float)


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def with_chunks(picture: np.ndarray, *chunks: bytes) -> bytes:
    plain = encoded(picture)
    return plain[:33] + b"".join(chunks) + plain[33:]


def gama(number: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", number))


def chrm(primaries: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * number) for number in primaries)))


def light(coded: np.ndarray, gamma: float | None) -> np.ndarray:
    if gamma is not None:
        return coded**gamma
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def srgb(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def xyz(primaries: tuple[float, ...]) -> np.ndarray:
    """RGB to XYZ, with white brought to D65 as Bradford has it."""

    def column(x: float, y: float) -> np.ndarray:
        return np.array([x / y, 1, (1 - x - y) / y])

    matrix = np.stack([column(*primaries[at : at + 2]) for at in (2, 4, 6)], 1)
    white = column(*primaries[:2])
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    scale = np.diag(bradford @ column(*D65) / (bradford @ white))
    return np.linalg.inv(bradford) @ scale @ bradford @ (matrix * np.linalg.solve(matrix, white))


def expected(
    picture: np.ndarray, primaries: tuple[float, ...] = PRIMARIES_SRGB, gamma: float | None = None
) -> np.ndarray:
    """The formulas of the standards, in floating point."""
    matrix = np.linalg.inv(xyz(PRIMARIES_SRGB)) @ xyz(primaries)
    return srgb(light(picture / 255, gamma) @ matrix.T)


@pytest.mark.parametrize("primaries", GAMMA)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_profile_is_converted(picture, primaries, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    profile = described(primaries, GAMMA[primaries])
    made = decoded(encoded(picture, kind, icc_profile=profile, **options))
    assert np.abs(made - expected(picture, primaries, GAMMA[primaries])).max() <= 1


def test_a_phone_s_red(picture):
    patch = np.full((40, 50, 3), (200, 60, 50), np.uint8)
    data = encoded(patch, "JPEG", quality=95, subsampling=0, icc_profile=described(P3, GAMMA[P3]))
    assert np.abs(decoded(data) - expected(patch, P3)).max() <= 2


def test_what_is_transparent_or_of_a_palette_is_converted_too(picture):
    profile = described(P3, None)
    opaque = np.dstack([picture, np.full((40, 50), 255, np.uint8)])
    assert np.abs(decoded(encoded(opaque, icc_profile=profile)) - expected(picture, P3)).max() <= 1
    palette = Image.fromarray(picture).quantize(64)
    colours = expected(np.asarray(palette.convert("RGB")), P3)
    assert np.abs(decoded(encoded(palette, icc_profile=profile)) - colours).max() <= 1


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        described(PRIMARIES_SRGB, None),
        described((*D65, 0.641, 0.330, 0.30, 0.60, 0.15, 0.06), None),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
        described(PRIMARIES_SRGB, 1.0, grey=True),
        described(P3, None)[:300],
        b"garbage" * 30,
    ],
    ids=["sRGB", "another sRGB", "nearly sRGB", "Lab", "of grey", "truncated", "garbage"],
)
def test_srgb_and_what_is_no_profile_of_the_picture_change_no_pixel(picture, profile):
    assert (decoded(encoded(picture, icc_profile=profile)) == picture).all()


def test_grey_by_its_profile(picture):
    grey = picture[..., 0]
    for pixels in (grey, np.dstack([grey, np.full_like(grey, 255)]), grey.astype(np.uint16) * 257):
        data = encoded(Image.fromarray(pixels), icc_profile=described(P3, 1.8, grey=True))
        assert np.abs(decoded(data) - srgb((grey / 255) ** 1.8)[..., None]).max() <= 2
    unlike = encoded(Image.fromarray(grey), icc_profile=described(P3, None))
    assert (decoded(unlike) == grey[..., None]).all()


def inks() -> bytes:
    """A CMYK profile in which cyan alone is a skin's colour, and all other inks are black."""
    table = bytearray(16 * 3)
    for place in range(16):
        table[3 * place : 3 * place + 3] = (0, 128, 128)
    table[:3] = (255, 128, 128)
    table[3 * 8 : 3 * 8 + 3] = (180, 150, 148)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (at % 4 == 0) for at in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + 4 * ramp + table + 3 * ramp
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    name = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"i\0" + bytes(80)
    tags = {b"desc": name, b"wtpt": white, b"A2B0": lut, b"cprt": b"text\0\0\0\0i\0\0\0"}
    head, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        head += tag + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    fields = (at + len(body), b"test", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header = struct.pack(">I4sI4s4s4s", *fields) + bytes(12) + b"acsp" + bytes(28) + white[8:]
    return header + bytes(48) + struct.pack(">I", len(tags)) + head + body


def test_inks_by_their_profile():
    cyan = Image.new("CMYK", (40, 50), (255, 0, 0, 0))
    for kind, tolerance in (("TIFF", 3), ("JPEG", 8)):
        made = decoded(encoded(cyan, kind, icc_profile=inks()))[0, 0]
        skin = (220, 157, 135)  # L* 70.6, a* 22, b* 20
        assert np.abs(made - skin).max() <= tolerance, made
        plain = decoded(encoded(cyan, kind))[0, 0]
        assert plain[0] < 9 and plain[1] > 240


def test_gamma_and_primaries_of_a_png(picture):
    assert (decoded(with_chunks(picture, gama(45_455))) == picture).all()
    assert (decoded(with_chunks(picture, gama(45_455), chrm(PRIMARIES_SRGB))) == picture).all()
    for number, gamma in ((100_000, 1), (55_555, 1.8)):
        made = decoded(with_chunks(picture, gama(number)))
        assert np.abs(made - expected(picture, gamma=gamma)).max() <= 1
    for chunks in ([chrm(P3)], [gama(45_455), chrm(P3)]):
        made = decoded(with_chunks(picture, *chunks))
        assert np.abs(made - expected(picture, P3)).max() <= 1
    grey = picture[..., 0]
    made = decoded(with_chunks(grey, gama(55_555)))
    assert np.abs(made - srgb((grey / 255) ** 1.8)[..., None]).max() <= 2


def test_one_statement_comes_before_another(picture):
    linear, wide = gama(100_000), chrm(P3)
    assert (decoded(with_chunks(picture, linear, wide, chunk(b"sRGB", b"\0"))) == picture).all()
    profile = chunk(b"iCCP", b"P3\0\0" + zlib.compress(described(P3, None)))
    made = decoded(with_chunks(picture, linear, profile))
    assert np.abs(made - expected(picture, P3)).max() <= 1
    coded = chunk(b"cICP", bytes([1, 13, 0, 1]))
    assert (decoded(with_chunks(picture, coded, profile)) == picture).all()
    made = decoded(with_chunks(picture, chunk(b"cICP", bytes([12, 13, 0, 1]))))
    assert np.abs(made - expected(picture, P3)).max() <= 1


@pytest.mark.parametrize(
    "nonsense",
    [
        gama(0),
        gama(2**31 - 1),
        chunk(b"cHRM", bytes(32)),
        chunk(b"cHRM", b"\xff" * 32),
        chrm((0.33333,) * 8),
        chunk(b"cICP", bytes([99, 99, 0, 1])),
    ],
)
def test_nonsense_changes_no_pixel(picture, nonsense):
    assert (decoded(with_chunks(picture, nonsense)) == picture).all()


def test_a_camera_says_adobe_rgb_in_its_exif():
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65_535, 0xA005: {1: "R03"}}
    patch = np.full((40, 50, 3), (200, 60, 50), np.uint8)
    made = decoded(encoded(patch, "JPEG", quality=100, subsampling=0, exif=exif))
    right = expected(patch, PRIMARIES_ADOBE, GAMMA[PRIMARIES_ADOBE])
    assert np.abs(made - right).max() <= 2 < np.abs(patch - right).max()


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_linear_colours_keep_their_shadows(picture, kind):
    """In 8 bits, the darkest 13 levels of sRGB would be one."""
    linear = light(picture / 255, None)
    linear = linear.astype(kind) if kind is np.float32 else np.rint(65_535 * linear).astype(kind)
    buffer = io.BytesIO()
    profile = described(PRIMARIES_SRGB, 1.0)
    tifffile.imwrite(buffer, linear, photometric="rgb", iccprofile=profile)
    assert np.abs(decoded(buffer.getvalue()) - picture).max() <= 1
    wide = encoded_png(np.rint(65_535 * light(picture / 255, None)).astype(np.uint16))
    assert np.abs(decoded(wide[:33] + gama(100_000) + wide[33:]) - picture).max() <= 1


def encoded_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits per colour, which Pillow does not write."""
    import cv2

    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def test_the_next_photo_of_the_same_profile_is_quick(picture):
    """Tens of thousands of a phone's: building the transform takes longer than decoding."""
    data = encoded(picture, icc_profile=described(P3, 2.2))
    decoded(data)
    start = time.perf_counter()
    for _ in range(20):
        decoded(data)
    assert time.perf_counter() - start < 0.5
