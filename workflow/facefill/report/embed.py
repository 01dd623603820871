"""Pictures inside of the page: data URIs, photographic ones compressed so that it stays small."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from facefill.core.errors import FacefillError
from facefill.core.images import contact_sheet

QUALITY = 90
FILM_QUALITY = 75
FILM_FRAMES = 24
GAP = 2


def data_uri(data: bytes, kind: str) -> str:
    """Return `data` as a data URI of the type image/`kind`."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def plot(path: Path | str) -> str:
    """Return a drawing, a PNG, as it is."""
    return data_uri(Path(path).read_bytes(), "png")


def photo(path: Path | str) -> str:
    """Return a sheet of photographs as JPEG, which looks the same."""
    return data_uri(_jpeg(_open(path).convert("RGB")), "jpeg")


def film(path: Path | str) -> str:
    """Return a GIF as animated WebP, which takes a tenth, of at most FILM_FRAMES frames."""
    animation = _open(path)
    frames = [
        (frame.convert("RGB"), frame.info.get("duration", 100))
        for frame in ImageSequence.Iterator(animation)
    ]
    chosen = np.linspace(0, len(frames) - 1, min(FILM_FRAMES, len(frames))).round().astype(int)
    images = [frames[number][0] for number in chosen]
    # A frame also stands for those that were left out before it.
    durations = [
        sum(duration for _, duration in frames[before + 1 : number + 1])
        for before, number in zip([-1, *chosen[:-1]], chosen, strict=True)
    ]
    buffer = io.BytesIO()
    images[0].save(
        buffer, "WEBP", save_all=True, append_images=images[1:], duration=durations, loop=0,
        quality=FILM_QUALITY,
    )  # fmt: skip
    return data_uri(buffer.getvalue(), "webp")


def column(faces: np.ndarray, exact: bool) -> str:
    """Return faces, uint8 [N, size, size, 3], below one another, not scaled.

    Without loss where `exact`, else as JPEG with colours in full resolution.
    """
    image = Image.fromarray(contact_sheet(faces, 1, gap=GAP))
    if not exact:
        return data_uri(_jpeg(image), "jpeg")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True)
    return data_uri(buffer.getvalue(), "webp")


def columns(rows: dict[str, np.ndarray], exact: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name, `column`) of every row of faces; those in `exact` without loss."""
    return [(name, column(faces, name in exact)) for name, faces in rows.items()]


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _open(path: Path | str) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except Exception as error:  # decoders raise nearly every type on damaged data
        raise FacefillError(
            f"{path}: not a readable picture ({type(error).__name__}); delete its folder and run "
            "again"
        ) from error
    return image
