"""Colours to sRGB: what the numbers of a photo mean is said by profiles, gamma and primaries."""

import io
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import imagecodecs
import numpy as np
from PIL import ExifTags, Image, ImageCms

# Relative colorimetric: what sRGB can show is not changed to make room for what it cannot.
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
# Levels that the many sRGB profiles differ by, in a space of 256: none of them changes a pixel.
ALIKE = 2

# White, red, green and blue as x, y.
D65 = (0.3127, 0.3290)
PRIMARIES_SRGB = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
PRIMARIES_ADOBE = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
# By their numbers in ITU-T H.273, of which cICP and nclx speak.
PRIMARIES = {
    1: PRIMARIES_SRGB,
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
GAMMA_ADOBE = 563 / 256
# None stands for sRGB's curve, which everybody uses for television's (1, 6, 14, 15), too.
GAMMAS = {1: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}


def profile_of(image: Image.Image, data: bytes) -> bytes:
    """Return the ICC profile that the photo has or describes otherwise, b"" for none.

    In a PNG, cICP comes before iCCP, then sRGB, then gAMA and cHRM; in an AVIF, a profile before
    nclx. An EXIF interoperability index of R03 says Adobe RGB.
    """
    kind, info = image.format, image.info
    grey = image.mode[0] in "LIF"
    coded, profile = _h273(kind, data, grey), info.get("icc_profile")
    if profile and not (kind == "PNG" and coded):
        return profile
    if coded:
        return coded
    if kind == "PNG" and "srgb" not in info and ("gamma" in info or "chromaticity" in info):
        return _calibrated(info.get("gamma"), info.get("chromaticity"), grey)
    try:
        if image.getexif().get_ifd(ExifTags.IFD.Interop).get(1) == "R03":
            return described(PRIMARIES_ADOBE, GAMMA_ADOBE, grey)
    except Exception:  # damaged metadata harm no pixel
        pass
    return b""


def _h273(kind: str | None, data: bytes, grey: bool) -> bytes:
    """The profile of a PNG's cICP or of an AVIF's nclx."""
    if kind == "PNG":
        at = data.find(b"cICP", 0, max(0, data.find(b"IDAT")))
        numbers = data[at + 4 : at + 6]
    elif kind == "AVIF":
        at = data.find(b"colrnclx")
        numbers = data[at + 9 : at + 12 : 2]
    else:
        return b""
    if at < 0 or len(numbers) < 2:
        return b""
    primaries, transfer = numbers
    if primaries not in PRIMARIES or transfer not in GAMMAS:
        return b""
    return described(PRIMARIES[primaries], GAMMAS[transfer], grey)


def _calibrated(encoding: float | None, primaries: Sequence[float] | None, grey: bool) -> bytes:
    """The profile of a PNG's gAMA and cHRM, either of which may be absent."""
    if encoding is not None and not 0.1 <= encoding <= 2:
        return b""  # nobody's screen
    # 1/2.2 is how one says sRGB in a gAMA.
    gamma = None if encoding is None or abs(encoding - 1 / 2.2) < 0.005 else 1 / encoding
    return described(tuple(primaries or PRIMARIES_SRGB), gamma, grey)


@lru_cache(64)
def described(primaries: tuple[float, ...], gamma: float | None, grey: bool = False) -> bytes:
    """Make a profile of white, red, green and blue as x, y; a gamma of None is sRGB's curve.

    Returns b"" for colours that cannot be.
    """
    if min(primaries[1::2]) <= 0 or max(primaries) >= 1:
        return b""
    white, *colours = ([*primaries[at : at + 2], 1.0] for at in range(0, 8, 2))
    primaries = [*chain.from_iterable(colours)]
    curve = {"gamma": gamma}
    if gamma is None:
        coded = np.linspace(0, 1, 4096)
        light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
        curve = {"transferfunction": light.astype(np.float32)}
    try:
        if grey:
            return imagecodecs.cms_profile("gray", whitepoint=white, **curve)
        return imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, **curve)
    except (ValueError, RuntimeError):
        return b""


@lru_cache(64)  # thousands of photos carry the same profile
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None for sRGB itself and for a profile that is none of that mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, SRGB, mode, "RGB", INTENT, FLAGS)
    except Exception:  # whatever is wrong with it, the photo is as good without
        return None
    if mode == "CMYK":
        return transform
    steps = np.linspace(0, 255, 256 if mode == "L" else 18).astype(np.uint8)
    probe = steps[None] if mode == "L" else np.stack(np.meshgrid(*[steps] * 3), -1)
    probe = Image.fromarray(probe.reshape(1, -1) if mode == "L" else probe.reshape(18, -1, 3))
    made = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
    return None if np.abs(made - np.asarray(probe.convert("RGB"))).max() <= ALIKE else transform


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture of mode L, RGB or CMYK to RGB, in sRGB as far as its profile is one."""
    transform = _transform(profile, image.mode) if profile else None
    if transform:
        return ImageCms.applyTransform(image, transform)
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def deep_to_srgb(rgb: np.ndarray, profile: bytes) -> np.ndarray | None:
    """Convert RGB uint16 [height, width, 3] to sRGB uint8; None where the profile changes nothing.

    In 8 bits, the shadows of a linear profile would have but a few levels left.
    """
    if not _transform(profile, "RGB"):
        return None
    options = {"colorspace": "rgb", "outcolorspace": "rgb", "intent": int(INTENT)}
    options |= {"flags": int(FLAGS) | int(imagecodecs.CMS.FLAGS.NOOPTIMIZE)}
    return imagecodecs.cms_transform(rgb, profile, SRGB.tobytes(), outdtype="u1", **options)
