"""Photographs with holes that mean no good: each has its row, none stops the others."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from facefill.align import Aligner
from facefill.core.photos import cached_digests, digest
from facefill.methods.telea import Telea
from facefill.parts import Part
from facefill.render import render_photo
from facefill.restore.restore import restore_set
from facefill.restore.restorer import Settings
from project import ROOT

PHOTO, LANDMARKS = render_photo(11, 1, 0)[:2]
ALIGN = {"predictor": None, "size": 64, "landmarks": "innerEyesAndBottomLip", "zoom": 1.0}
ALIGN |= {"several_faces": "largest", "max_pixels": 1_000_000}
EXIF_ORIENTATION = 274


def png(picture: np.ndarray, **options) -> bytes:
    return encoded(Image.fromarray(picture), "PNG", **options)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stroke(*landmarks: int, width: float = 0.25) -> np.ndarray:
    """What a stroke through some landmarks leaves known, uint8 of 0 and 255."""
    known = np.full(PHOTO.shape[:2], 255, np.uint8)
    thickness = round(width * np.ptp(LANDMARKS[:, 0]))
    points = np.round(LANDMARKS[list(landmarks)]).astype(np.int32)
    cv2.polylines(known, [points], False, 0, thickness)
    return known


MOUTH = stroke(48, 54)


def beside() -> np.ndarray:
    known = np.full(PHOTO.shape[:2], 255, np.uint8)
    known[:5, :5] = 0
    return known


def animated(*pictures: np.ndarray) -> bytes:
    images = [Image.fromarray(picture) for picture in pictures]
    return encoded(images[0], "PNG", save_all=True, append_images=images[1:])


def turned() -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return png(np.rot90(PHOTO), exif=exif)


def cmyk() -> bytes:
    return encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95)


def two(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([picture, picture[:, ::-1]], 1)


Make = Callable[[], bytes]
# What is wrong, the photograph, and its mask.
CASES: dict[str, tuple[str, Make, Make | None]] = {
    "size": ("a mask of another size", lambda: png(PHOTO), lambda: png(MOUTH[1:])),
    "nothing": ("a mask that hides nothing", lambda: png(PHOTO), lambda: png(MOUTH * 0 + 255)),
    "all": ("a mask that is all hole", lambda: png(PHOTO), lambda: png(MOUTH * 0)),
    "beside": ("a hole beside the face", lambda: png(PHOTO), lambda: png(beside())),
    "covered": (
        "a hole over the whole face",
        lambda: png(PHOTO),
        lambda: png(stroke(0, 8, 16, 27, 30, width=1.1)),
    ),
    "animated": ("an animated mask", lambda: png(PHOTO), lambda: animated(MOUTH, MOUTH // 2)),
    "frames": (
        "an animated photograph",
        lambda: animated(PHOTO, PHOTO // 2),
        lambda: png(MOUTH),
    ),
    "deep": (
        "a photograph of 16 bits per colour",
        lambda: imagecodecs.png_encode(PHOTO.astype(np.uint16) * 257),
        lambda: png(MOUTH),
    ),
    "deep_mask": (
        "a mask of 16 bits",
        lambda: png(PHOTO),
        lambda: imagecodecs.png_encode(MOUTH.astype(np.uint16) * 257),
    ),
    "cmyk": ("a CMYK photograph", cmyk, lambda: png(MOUTH)),
    "turned": ("a photograph with EXIF orientation 6", turned, lambda: png(MOUTH)),
    "turned_mask": (
        "the same, and a mask that lies as it is stored",
        turned,
        lambda: png(np.ascontiguousarray(np.rot90(MOUTH))),
    ),
    "two": ("two faces in one hole", lambda: png(two(PHOTO)), lambda: png(two(MOUTH))),
    "cut": ("a cut photograph", lambda: png(PHOTO)[:5000], lambda: png(MOUTH)),
    "cut_mask": ("a cut mask", lambda: png(PHOTO), lambda: png(MOUTH)[:200]),
    "jpeg_mask": (
        "a mask that is a JPEG by another name",
        lambda: png(PHOTO),
        lambda: encoded(Image.fromarray(MOUTH), "JPEG"),
    ),
    "unmarked": ("a photograph without any hole", lambda: png(PHOTO), None),
    "large": (
        "more pixels than align.max_pixels",
        lambda: png(np.zeros((1001, 1000), np.uint8)),
        None,
    ),
    "fine": ("a good one among all of these", lambda: png(PHOTO), lambda: png(MOUTH)),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, list[dict[str, str]]]:
    """The rows of the manifest by case, after all were restored in one run."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "set").mkdir()
    for name, (_, photo, mask) in CASES.items():
        suffix = ".jpg" if name == "cmyk" else ".png"
        (folder / "set" / f"{name}{suffix}").write_bytes(photo())
        if mask:
            (folder / "set" / f"{name}.mask.png").write_bytes(mask())
    settings = Settings(
        hole="auto", mask=None, format="png", grain=False, methods={"telea": telea()},
        zoom=1.0, seed=0, device="cpu",
    )  # fmt: skip
    restore_set(
        folder / "set",
        digest(cached_digests(folder / "set", folder / "cache").items()),
        None,
        settings,
        Aligner(**ALIGN),
        title="hostile",
        folder=folder / "out",
        templates=ROOT / "workflow" / "report",
        kept=folder / "kept",
        key="",
    )
    found: dict[str, list[dict[str, str]]] = {name: [] for name in CASES}
    with open(folder / "out" / "manifest.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[Path(row["photo"]).stem].append(row)
    return found


def telea() -> Part:
    return Part(Telea(faces=None, masks=None, radius=3))


@pytest.mark.parametrize("name", CASES)
def test_every_photograph_has_its_rows(rows, told, name):
    what = CASES[name][0]
    assert len(rows[name]) == (2 if name == "two" else 1)
    for row in rows[name]:
        detail = f" ({row['detail']})" if row["detail"] else ""
        told("photographs", what, f"{row['status']}{detail}")
    restored = {"frames", "deep", "deep_mask", "cmyk", "turned", "turned_mask", "two", "fine"}
    assert (rows[name][0]["status"] == "restored") == (name in restored), rows[name]
