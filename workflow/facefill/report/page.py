"""The page: what the template needs, in the form in which it is shown."""

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import yaml

from facefill.errors import FacefillError
from facefill.files import atomic
from facefill.images import contact_sheet, png_bytes
from facefill.report.pictures import GAP
from facefill.report.tables import Run

REJECTS = 50
GRID_COLUMN = 6  # faces below one another in the page's grid

# What the summary shows: key, heading, decimals, which direction is better.
SHOWN = [
    ("hole_psnr", "hole PSNR [dB]", 2, max),
    ("hole_ssim", "hole SSIM", 3, max),
    ("hole_l1", "hole L1 [0..255]", 1, min),
    ("ssim", "SSIM of the face", 3, max),
    ("identity_distance", "identity distance", 3, min),
]
STATUS = {
    "aligned": "a face for the splits",
    "no_face": "no face was found",
    "several_faces": "more than one face, set aside as configured",
    "unreadable": "not a picture that can be decoded",
    "too_small": "too few pixels for a face",
    "too_large": "more pixels than align.max_pixels",
    "not_a_file": "a folder, a pipe or the like with a picture's name",
    "unreachable": "a dead link, or not permitted to be read",
    "duplicate": "the same bytes as another photo",
}


def data_uri(data: bytes, kind: str) -> str:
    """Return `data` as an image/`kind` URI that can stand in the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def picture(path: Path | str) -> str:
    """Return the picture file `path` (.png or .gif) as a data URI."""
    path = Path(path)
    return data_uri(path.read_bytes(), path.suffix[1:].lower())


def number(value: Any, decimals: int = 2) -> str:
    """Format a number with thousands separated, or a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:,.{decimals}f}"


def summary_rows(summary: pd.DataFrame, sets: pd.DataFrame, mask: str) -> list[dict[str, Any]]:
    """Return what the summary table shows of one mask: a dict per method with method, faces and
    cells; a cell is a dict of text, margin (half the confidence interval) and best."""
    part = summary[summary["mask"] == mask]
    kid = sets[(sets["mask"] == mask) & (sets["metric"] == "kid_dlib")]
    kid = dict(zip(kid["method"], kid["value"], strict=True))
    best = {
        key: better(part[key]) if part[key].notna().all() else None for key, _, _, better in SHOWN
    }
    lowest = min(kid.values(), default=math.nan)
    rows = []
    for _, row in part.iterrows():
        cells = []
        for key, _, decimals, _ in SHOWN:
            margin = (row[f"{key}_high"] - row[f"{key}_low"]) / 2
            cells.append(
                {
                    "text": number(row[key], decimals),
                    "margin": number(margin, decimals) if math.isfinite(margin) else "",
                    "best": len(part) > 1 and row[key] == best[key],
                }
            )
        value = kid.get(row["method"], math.nan)
        cells.append(
            {
                "text": number(1000 * value, 2),
                "margin": "",
                "best": len(part) > 1 and value == lowest,
            }
        )
        rows.append({"method": row["method"], "faces": int(row["faces"]), "cells": cells})
    return rows


def grid_groups(rows: dict[str, np.ndarray]) -> list[list[tuple[str, str]]]:
    """Cut the faces into groups of GRID_COLUMN; a group is a list of (name, column as data URI).

    The columns have one pixel per face pixel; the page scales them.
    """
    count = len(next(iter(rows.values())))
    return [
        [
            (
                name,
                data_uri(
                    png_bytes(contact_sheet(faces[start : start + GRID_COLUMN], 1, gap=GAP)), "png"
                ),
            )
            for name, faces in rows.items()
        ]
        for start in range(0, count, GRID_COLUMN)
    ]


def model_view(
    name: str, history: Path, losses: Path, samples: Path, gif: Path, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return what the page shows of one model."""
    try:
        last = pd.read_csv(history).iloc[-1].to_dict()
    except (ValueError, IndexError) as error:
        raise FacefillError(
            f"{history}: no epoch in it; delete its folder and run again"
        ) from error
    shown = {key: value for key, value in settings.items() if key != "warnings"}
    return {
        "name": name,
        "warnings": settings.get("warnings", []),
        "last": {key: f"{value:,.6g}" for key, value in last.items() if pd.notna(value)},
        "settings": {key: _setting(value) for key, value in shown.items()},
        "losses": picture(losses),
        "samples": picture(samples),
        "gif": picture(gif),
    }


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True,
        width=10_000).strip().removesuffix("...").strip()  # fmt: skip


def data_view(manifest: pd.DataFrame, splits: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what the page shows of the data: counts by status, rejected photos, split sizes."""
    counts = manifest["status"].value_counts()
    rejected = manifest[manifest["status"] != "aligned"]
    return {
        "photos": number(len(manifest), 0),
        "status": [
            (status, number(int(counts[status]), 0), STATUS.get(status, ""))
            for status in [*STATUS, *sorted(set(counts.index) - set(STATUS))]
            if status in counts.index
        ],
        "rejects": rejected[["source", "status", "detail"]].head(REJECTS).values.tolist(),
        "rejected": len(rejected),
        "splits": [
            (name, number(len(table), 0), number(table["identity"].nunique(), 0))
            for name, table in splits.items()
        ],
    }


def timing_rows(timings: pd.DataFrame) -> list[dict[str, str]]:
    """Return the rows of the timings as text; those of single jobs carry a `name`."""
    return [
        {
            "stage": row["stage"],
            "name": row["name"],
            "jobs": str(row["jobs"]),
            "seconds": number(float(row["seconds"]), 1),
            "work": f"{number(row['items'], 0)} {row['unit']}" if row["items"] else "–",
            "rate": number(row["items_per_second"], 1),
            "each": _each(row["seconds_per_item"]),
        }
        for row in timings.astype(object).where(timings.notna(), None).to_dict("records")
    ]


def _each(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{1000 * seconds:,.2f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def masks_of(runs: Sequence[Run]) -> list[str]:
    """Return the masks of `runs`, each once, in their order."""
    return list(dict.fromkeys(mask for mask, _ in runs))


def write_page(path: Path | str, template: Path | str, context: dict[str, Any]) -> None:
    """Render the Jinja2 `template` with `context`; everything in it is escaped for HTML."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.from_string(Path(template).read_text(encoding="utf-8")).render(context)
    with atomic(path) as partial:
        # Bytes of file names that are not UTF-8 arrive as lone surrogates: show them as \udcXX.
        partial.write_bytes(html.encode("utf-8", errors="backslashreplace"))
