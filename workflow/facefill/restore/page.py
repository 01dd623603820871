"""The page of a restored set: each photograph before and after, at full size."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from facefill.core.images import contact_sheet, write_png
from facefill.report import page as report

QUALITY = 92  # of the JPEGs: the page shows, photos/ keeps
SMALL = 256  # longest side of a thumbnail in pixels
OVERVIEW = 24  # photographs on the overview
COARSE = 1.5  # photo pixels per face pixel from which a fill looks soft
PAPER = 235  # grey of the overview between and beside its pictures
# What a hole is drawn in: nothing where the photo is known, two greys of a checkerboard, its rim.
CLEAR, LIGHT, DARK, RIM = range(4)
COLOURS = np.array([(0, 0, 0), (222, 222, 222), (160, 160, 160), (226, 61, 110)], np.uint8)
STATUS = report.STATUS | {
    "bad_mask": "its mask cannot be used",
    "no_hole": "nothing in it marks a hole",
    "no_face": "its hole touches no face that was found",
    "too_small": "too few pixels",
}


class Restored(NamedTuple):
    """A photograph that was restored, as the page shows it."""

    photo: str  # its name; may hold any characters, surrogates where it is not UTF-8
    pictures: str  # what the names of its `picture_files` in the folder page/ begin with
    rows: Sequence[dict[str, Any]]  # its rows of manifest.csv, one per method and face
    width: int
    height: int
    hidden: float  # share of its pixels


def picture_files(
    before: np.ndarray, known: np.ndarray, after: Mapping[str, np.ndarray]
) -> dict[str, bytes]:
    """Return the pictures of one photograph by their names, at full size and small.

    `before` and, by method, `after` are uint8 [height, width, 3], upright, sRGB; `known` is bool
    [height, width], False = hole.
    """
    small = _thumbnail(before)
    files = {
        "before.jpg": _jpeg(before),
        "hole.png": _hole(known),
        "before.small.jpg": _jpeg(small),
        "hole.small.jpg": _jpeg(_with_hole(small, known)),
    }
    for method, picture in after.items():
        files[f"after-{method}.jpg"] = _jpeg(picture)
        files[f"after-{method}.small.jpg"] = _jpeg(_thumbnail(picture))
    return files


def write_page(
    folder: Path,
    title: str,
    restored: Sequence[Restored],
    set_aside: Sequence[dict[str, Any]],
    template: Path,
    face_size: int,
) -> None:
    """Write `folder`/index.html and overview.png; the pictures lie in `folder`/page already.

    `set_aside` are the rows of manifest.csv that are not restored (photo, status, detail),
    `face_size` is the side of the models' faces in pixels.
    """
    photos = [_view(photo, face_size) for photo in restored]
    write_png(folder / "overview.png", _overview(folder / "page", restored[:OVERVIEW]))
    context = {
        "title": title,
        "photos": photos,
        "coarse": sum(bool(photo["coarse"]) for photo in photos),
        "set_aside": [
            (legible(row["photo"]), row["status"], STATUS.get(row["status"], ""), row["detail"])
            for row in set_aside
        ],
        "face_size": face_size,
    }
    report.write_page(folder / "index.html", template, context)


def _view(photo: Restored, face_size: int) -> dict[str, Any]:
    """What the page says of one photograph."""
    methods = []
    coarse: dict[str, float] = {}  # by face, so that several methods say it once
    for method, rows in _by_method(photo).items():
        methods.append(
            {
                "name": method,
                "after": f"{photo.pictures}after-{method}.jpg",
                "small_after": f"{photo.pictures}after-{method}.small.jpg",
                "faces": [_face(row) for row in rows],
                "outside": _outside(rows),
            }
        )
        for row in rows:
            if _number(row["scale"]) > COARSE:
                coarse[str(row["face"])] = _number(row["scale"])
    return {
        "name": legible(photo.photo),
        "methods": methods,
        "width": photo.width,
        "height": photo.height,
        "hidden": _percent(photo.hidden),
        "before": f"{photo.pictures}before.jpg",
        "hole": f"{photo.pictures}hole.png",
        "small_before": f"{photo.pictures}before.small.jpg",
        "small_hole": f"{photo.pictures}hole.small.jpg",
        "coarse": [(face, round(face_size * scale)) for face, scale in coarse.items()],
    }


def _by_method(photo: Restored) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in photo.rows:
        rows.setdefault(row["method"], []).append(row)
    return rows


def _face(row: dict[str, Any]) -> dict[str, str]:
    """A row of the manifest as text."""
    return {
        "face": str(row["face"]),
        "detector": str(row["detector"] or "–"),
        "scale": report.number(_number(row["scale"]), 2),
        "share": _percent(_number(row["share"])),
        "status": str(row["status"]),
        "detail": str(row["detail"] or ""),
    }


def _outside(rows: Sequence[dict[str, Any]]) -> str:
    """The share of the hole that no face filled, where there is any."""
    shares = [_number(row["share"]) for row in rows]
    rest = 1 - sum(share for share in shares if math.isfinite(share))
    return _percent(rest) if rest > 0.0005 else ""


def _number(value: Any) -> float:
    """A cell of the manifest; NaN where it is empty."""
    return float(value) if value not in ("", None) else math.nan


def _percent(share: float) -> str:
    return f"{report.number(100 * share, 1)} %" if math.isfinite(share) else "–"


def legible(name: str) -> str:
    """Return a photo's name with everything that cannot be printed as an escape."""
    # Line breaks, marks that turn the direction of writing, bytes that are not UTF-8.
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in name
    )


def safe(name: str) -> str:
    """Return what of a photo's name can stand in the name of a file and in an address."""
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9]+", "-", stem)[:40].strip("-") or "photo"


def _jpeg(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Colours in full resolution: else a hole's rim would be smeared.
    Image.fromarray(rgb).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _hole(known: np.ndarray) -> bytes:
    """Draw the hole to be laid over the photograph: transparent where it is known."""
    buffer = io.BytesIO()
    image = Image.fromarray(_drawn(known, max(4, max(known.shape) // 100)), "P")
    image.putpalette(COLOURS.tobytes())
    image.save(buffer, "PNG", bits=2, transparency=CLEAR)
    return buffer.getvalue()


def _drawn(known: np.ndarray, cell: int) -> np.ndarray:
    """The hole's colours, uint8 [height, width]: squares of `cell` pixels within a rim."""
    rows, columns = (np.arange(side) // cell % 2 == 0 for side in known.shape)
    drawn = np.where(rows[:, None] == columns, np.uint8(LIGHT), np.uint8(DARK))
    hidden = (~known).astype(np.uint8)
    around = np.ones((2 * (cell // 8) + 3,) * 2, np.uint8)
    drawn[cv2.erode(hidden, around) == 0] = RIM
    drawn[known] = CLEAR
    return drawn


def _thumbnail(rgb: np.ndarray) -> np.ndarray:
    image = Image.fromarray(rgb)
    image.thumbnail((SMALL, SMALL))
    return np.asarray(image)


def _with_hole(thumbnail: np.ndarray, known: np.ndarray) -> np.ndarray:
    height, width, _ = thumbnail.shape
    share = cv2.resize(known.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA)
    # A thin stroke still shows where it covers only a part of a thumbnail's pixel.
    drawn = _drawn(share > 160, 8)
    return np.where(drawn[..., None] == CLEAR, thumbnail, COLOURS[drawn])


def _overview(folder: Path, restored: Sequence[Restored]) -> np.ndarray:
    """One row per photograph: before, hole, after by each method."""
    photos = []
    for photo in restored:
        names = ["before", "hole", *(f"after-{method}" for method in _by_method(photo))]
        files = [folder / f"{photo.pictures}{name}.small.jpg" for name in names]
        photos.append([np.asarray(Image.open(file)) for file in files])
    cells = [cell for row in photos for cell in row] or [np.full((SMALL, SMALL, 3), PAPER)]
    height, width = (max(cell.shape[axis] for cell in cells) for axis in (0, 1))
    columns = max((len(row) for row in photos), default=1)
    sheet = np.full((max(1, len(photos)) * columns, height, width, 3), PAPER, np.uint8)
    for number, row in enumerate(photos):
        for place, cell in zip(sheet[number * columns :], row, strict=False):
            own_height, own_width, _ = cell.shape
            top, left = (height - own_height) // 2, (width - own_width) // 2
            place[top : top + own_height, left : left + own_width] = cell
    return contact_sheet(sheet, columns, gap=4, background=PAPER)
