"""The page: what the template needs, in the form in which it is shown."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from facefill.core.errors import FacefillError
from facefill.core.files import atomic
from facefill.metrics import HIGHER_IS_BETTER
from facefill.report import embed

REJECTS = 50

# What the tables show: metric, heading, decimals.
SHOWN = [
    ("hole_psnr", "hole PSNR [dB]", 2),
    ("hole_ssim", "hole SSIM", 3),
    ("hole_l1", "hole L1 [0..255]", 1),
    ("ssim", "SSIM of the face", 3),
    ("identity_distance", "identity distance", 3),
]
# Of whole sets: metric, heading, note, factor, decimals, and the order that a first click gives.
SETS = [
    ("kid_dlib", "KID on dlib × 1000", "less is better", 1000, 2, "ascending"),
    ("diversity", "diversity", "1 = as the true faces", 1, 3, "descending"),
    ("sample_spread", "spread of samples", "grey levels in the hole", 1, 2, "descending"),
    ("sample_spread_identity", "spread of samples", "identity distance", 1, 3, "descending"),
]
MODEL_SETS = {"kid_dlib": "KID on dlib × 1000", "kid_pixels": "KID on pixels × 1000"}
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


@dataclass(frozen=True)
class Column:
    """The heading of a table's column."""

    text: str
    first: str = ""  # the order that a first click gives, of numbers; "" = a column of text
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    value: float | None = None  # of a number: what it is sorted by; NaN comes last
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by any column."""

    columns: list[Column]
    rows: list[list[Cell]]


def number(value: Any, decimals: int = 2, sign: str = "") -> str:
    """Format a number with thousands separated, or a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:{sign},.{decimals}f}"


def numeric(value: float, decimals: int, note: str = "", best: bool = False) -> Cell:
    return Cell(number(value, decimals), float(value), note, best)


def span(low: float, high: float, decimals: int, sign: str = "") -> str:
    """Format the limits of an interval; nothing where there are none."""
    if not math.isfinite(low):
        return ""
    return f"{low:{sign}.{decimals}f} to {high:{sign}.{decimals}f}"


def _metric_columns() -> list[Column]:
    return [
        Column(heading, "descending", "more is better")
        if metric in HIGHER_IS_BETTER
        else Column(heading, "ascending", "less is better")
        for metric, heading, _ in SHOWN
    ]


def summary_table(
    summary: pd.DataFrame,
    differences: pd.DataFrame,
    seconds: dict[tuple[str, str], float],
    mask: str,
) -> Table:
    """Show one mask's rows of the summary, with the seconds per face where they are known."""
    part = summary[summary["mask"] == mask]
    best = {metric: best_method(part, differences, metric) for metric, _, _ in SHOWN}
    rows = []
    for row in part.to_dict("records"):
        cells = [Cell(row["method"]), numeric(row["faces"], 0)]
        for metric, _, decimals in SHOWN:
            note = span(row[f"{metric}_low"], row[f"{metric}_high"], decimals)
            cells.append(numeric(row[metric], decimals, note, row["method"] == best[metric]))
        took = seconds.get((mask, row["method"]), math.nan)
        rows.append([*cells, Cell(_each(took), took)])
    columns = [Column("method"), Column("faces", "descending"), *_metric_columns()]
    return Table([*columns, Column("time per face", "ascending", "loading included")], rows)


def best_method(part: pd.DataFrame, differences: pd.DataFrame, metric: str) -> str | None:
    """The method that is better than every other one of its mask with its interval, if any.

    `part` holds the rows of one mask in the summary. The intervals are those of the paired
    `differences` (`tables.differences`), on the faces that both have: means of different faces
    do not rank.
    """
    of_mask = differences[
        (differences["mask"] == part["mask"].iloc[0]) & (differences["metric"] == metric)
    ]
    for method, rows in of_mask.groupby("method", sort=False):
        if (rows["better"] == method).all():
            return method
    return None


def set_table(sets: pd.DataFrame, mask: str) -> Table:
    """Show what was measured of whole sets under one mask; every value with its N."""
    part = sets[sets["mask"] == mask]
    shown = [entry for entry in SETS if entry[0] in set(part["metric"])]
    values = {(row["method"], row["metric"]): row for row in part.to_dict("records")}
    rows = []
    for method in dict.fromkeys(part["method"]):
        cells = [Cell(method)]
        for metric, _, _, factor, decimals, _ in shown:
            row = values.get((method, metric))
            if row is None:
                cells.append(Cell("–", math.nan))
            else:
                cells.append(numeric(factor * row["value"], decimals, f"N = {row['faces']}"))
        rows.append(cells)
    columns = [Column(heading, first, note) for _, heading, note, _, _, first in shown]
    return Table([Column("method"), *columns], rows)


def difference_table(differences: pd.DataFrame, mask: str) -> Table:
    """Show the paired differences under one mask, every pair once."""
    part = differences[differences["mask"] == mask]
    methods = list(dict.fromkeys(part["method"]))
    by_pair = {key: rows.set_index("metric") for key, rows in part.groupby(["method", "other"])}
    rows = []
    for place, method in enumerate(methods):
        for other in methods[place + 1 :]:
            cells = [Cell(method), Cell(other)]
            for metric, _, decimals in SHOWN:
                row = by_pair[method, other].loc[metric]
                text = number(row["difference"], decimals, "+")
                note = span(row["low"], row["high"], decimals, "+")
                cells.append(Cell(text, float(row["difference"]), note, bool(row["better"])))
            rows.append(cells)
    return Table([Column("method"), Column("minus"), *_metric_columns()], rows)


def overview_table(summary: pd.DataFrame) -> Table:
    """Show the mean PSNR of the hole of every method under every mask."""
    masks, methods = (list(dict.fromkeys(summary[key])) for key in ("mask", "method"))
    values = summary.set_index(["mask", "method"])["hole_psnr"].to_dict()
    rows = [
        [Cell(method), *(numeric(values.get((mask, method), math.nan), 2) for mask in masks)]
        for method in methods
    ]
    return Table([Column("method"), *(Column(mask, "descending") for mask in masks)], rows)


def fit_rows(fits: pd.DataFrame, mask: str) -> list[dict[str, str]]:
    """Return one mask's rows of `fit.fit_table` as text."""
    return [
        {
            "method": row["method"],
            "model": row["model"],
            "first": f"{row['first']:.4f}",
            "first_seconds": _each(row["first_seconds"]),
            "last": f"{row['last']:.4f}",
            "last_seconds": _each(row["last_seconds"]),
            "other": f"{row['other']}: {row['other_last']:.4f}" if row["other"] else "–",
            "reached": _each(row["reached"]),
        }
        for row in fits[fits["mask"] == mask].to_dict("records")
    ]


def likeness(sets: pd.DataFrame, model: str) -> dict[str, str]:
    """Return the measures of a model's samples as text, with their N."""
    part = sets[sets["model"] == model]
    return {
        MODEL_SETS[row["metric"]]: f"{number(1000 * row['value'], 2)} (N = {row['faces']})"
        for row in part.to_dict("records")
    }


def model_view(
    name: str,
    history: Path,
    losses: Path,
    samples: Path,
    gif: Path,
    settings: dict[str, Any],
    sets: pd.DataFrame,
) -> dict[str, Any]:
    """Return what the page shows of one model; `sets` are those of `tables.gather_models`."""
    try:
        epochs = pd.read_csv(history)
        last = epochs.iloc[-1].to_dict()
    except (ValueError, IndexError) as error:
        raise FacefillError(
            f"{history}: no epoch in it; delete its folder and run again"
        ) from error
    shown = {key: value for key, value in settings.items() if key != "warnings"}
    return {
        "name": name,
        "warnings": settings.get("warnings", []),
        "kind": settings["kind"],
        "kept": _kept_epoch(epochs),
        "likeness": likeness(sets, name),
        "last": {key: f"{value:,.6g}" for key, value in last.items() if pd.notna(value)},
        "settings": {key: _setting(value) for key, value in shown.items()},
        "losses": embed.plot(losses),
        "samples": embed.photo(samples),
        "gif": embed.film(gif),
    }


def _kept_epoch(epochs: pd.DataFrame) -> int | None:
    """The epoch that validation chose, if it chose one."""
    if "kept" not in epochs or epochs["val_hole_psnr"].isna().all():
        return None
    return int(epochs.loc[epochs["kept"] == 1, "epoch"].iloc[0])


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
    if seconds is None or math.isnan(seconds):
        return "–"
    return f"{1000 * seconds:,.2f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def write_page(path: Path | str, template: Path | str, context: dict[str, Any]) -> None:
    """Render the Jinja2 `template` with `context`; everything in it is escaped for HTML."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.from_string(Path(template).read_text(encoding="utf-8")).render(context)
    with atomic(path) as partial:
        # Bytes of file names that are not UTF-8 arrive as lone surrogates: show them as \udcXX.
        partial.write_bytes(html.encode("utf-8", errors="backslashreplace"))
