"""The page of a restored set: each photograph before and after, at full size."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from facefill.core.files import atomic_folder
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


class Shown(NamedTuple):
    """A photograph that one method restored."""

    photo: str  # its name; may hold any characters, surrogates where it is not UTF-8
    method: str
    before: np.ndarray  # uint8 [height, width, 3], upright, sRGB
    after: np.ndarray  # the same with its hole filled
    known: np.ndarray  # bool [height, width], False = hole
    rows: Sequence[dict[str, Any]]  # its rows of manifest.csv, one per face


def write_page(
    folder: Path,
    title: str,
    shown: Iterable[Shown],
    set_aside: Sequence[dict[str, Any]],
    template: Path,
    face_size: int,
) -> None:
    """Write `folder`/index.html, the pictures that it shows (page/) and overview.png.

    `shown` is read once, a photograph at a time; the methods of one photograph must follow each
    other. `set_aside` are the rows of manifest.csv that are not restored (photo, status, detail),
    `face_size` is the side of the models' faces in pixels.
    """
    photos, overview = [], []
    with atomic_folder(folder / "page") as pictures:
        for number, (name, methods) in enumerate(groupby(shown, lambda one: one.photo), 1):
            view, small = _photo(pictures, number, name, methods, face_size)
            photos.append(view)
            if number <= OVERVIEW:
                overview.append(small)
    write_png(folder / "overview.png", _overview(overview))
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


def _photo(
    folder: Path, number: int, photo: str, methods: Iterable[Shown], face_size: int
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Write the pictures of one photograph; return what the page says of it, and thumbnails."""
    name = f"{number:04}-{safe(photo)}"
    view: dict[str, Any] = {"name": legible(photo), "methods": []}
    small: list[np.ndarray] = []
    coarse: dict[str, float] = {}  # by face, so that several methods say it once
    for order, one in enumerate(methods, 1):
        if order == 1:
            thumbnail = _thumbnail(one.before)
            small = [thumbnail, _with_hole(thumbnail, one.known)]
            height, width = one.known.shape
            view |= {
                "width": width,
                "height": height,
                "hidden": _percent(1 - one.known.mean()),
                "before": _jpeg(folder / f"{name}.before.jpg", one.before),
                "hole": _hole(folder / f"{name}.hole.png", one.known),
                "small_before": _jpeg(folder / f"{name}.before.small.jpg", small[0]),
                "small_hole": _jpeg(folder / f"{name}.hole.small.jpg", small[1]),
            }
        small.append(_thumbnail(one.after))
        view["methods"].append(
            {
                "name": one.method,
                "after": _jpeg(folder / f"{name}.after{order}.jpg", one.after),
                "small_after": _jpeg(folder / f"{name}.after{order}.small.jpg", small[-1]),
                "faces": [_face(row) for row in one.rows],
                "outside": _outside(one.rows),
            }
        )
        for row in one.rows:
            if _number(row["scale"]) > COARSE:
                coarse[str(row["face"])] = _number(row["scale"])
    view["coarse"] = [(face, round(face_size * scale)) for face, scale in coarse.items()]
    return view, small


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


def _jpeg(path: Path, rgb: np.ndarray) -> str:
    # Colours in full resolution: else a hole's rim would be smeared.
    Image.fromarray(rgb).save(path, "JPEG", quality=QUALITY, subsampling=0)
    return path.name


def _hole(path: Path, known: np.ndarray) -> str:
    """Draw the hole to be laid over the photograph: transparent where it is known."""
    height, width = known.shape
    image = Image.fromarray(_drawn(known, max(4, max(height, width) // 100)), "P")
    image.putpalette(COLOURS.tobytes())
    image.save(path, "PNG", bits=2, transparency=CLEAR)
    return path.name


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


def _overview(photos: list[list[np.ndarray]]) -> np.ndarray:
    """One row per photograph: before, hole, after by each method."""
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
