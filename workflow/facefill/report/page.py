"""The page: what the template needs, as text and data URIs."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from facefill.core.errors import FacefillError
from facefill.core.files import write_bytes
from facefill.metrics import Metric, Subject, Where, face_metrics, set_metrics
from facefill.report import embed
from facefill.report.tables import Pair, best_set
from facefill.report.trainings import widened

REJECTS = 50
Facts = dict[str, Any]

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


def _columns(metrics: Mapping[str, Metric]) -> list[Column]:
    orders = {"higher": "descending", "lower": "ascending"}
    return [
        Column(metric.heading, orders[metric.better], metric.remark) for metric in metrics.values()
    ]


def explanations(metrics: Mapping[str, Metric]) -> list[str]:
    """Return what `metrics` say about themselves, where they say anything."""
    return [metric.explanation for metric in metrics.values() if metric.explanation]


def over_trainings(spread: pd.DataFrame, mask: str, method: str, name: str, metric: Metric) -> str:
    """The standard deviation of a measure over trainings; nothing where there is one training."""
    key = mask, method, name
    if key not in spread.index:
        return ""
    return f"± {metric.factor * spread.loc[key, 'deviation']:.{metric.decimals}f}"


def summary_table(
    summary: pd.DataFrame,
    differences: pd.DataFrame,
    seconds: dict[Pair, float],
    spread: pd.DataFrame,
    mask: str,
) -> Table:
    """Show one mask's rows of the summary, with the seconds per face where they are known.

    `spread` is that over trainings (`trainings.spread`).
    """
    part = summary[summary["mask"] == mask]
    metrics = face_metrics("page")
    best = {name: best_method(part, differences, name) for name in metrics}
    rows = []
    for row in part.to_dict("records"):
        cells = [Cell(row["method"]), numeric(row["faces"], 0)]
        for name, metric in metrics.items():
            value, low, high = (
                metric.factor * row[key] for key in (name, f"{name}_low", f"{name}_high")
            )
            apart = over_trainings(spread, mask, row["method"], name, metric)
            note = _joined(span(low, high, metric.decimals), apart)
            cells.append(numeric(value, metric.decimals, note, row["method"] == best[name]))
        duration = seconds.get((mask, row["method"]), math.nan)
        rows.append([*cells, Cell(_each(duration), duration)])
    columns = [Column("method"), Column("faces", "descending"), *_columns(metrics)]
    return Table([*columns, Column("time per face", "ascending", "loading included")], rows)


def _joined(*notes: str) -> str:
    return ", ".join(filter(None, notes))


def best_method(part: pd.DataFrame, differences: pd.DataFrame, metric: str) -> str | None:
    """The method that is better than every other one of its mask with its interval, if any.

    `part` holds the rows of one mask in the summary. The intervals are those of the paired
    `differences` (`tables.differences`), on the faces that both have: means of different faces
    do not rank.
    """
    of_metric = differences[differences["metric"] == metric]
    of_mask = of_metric[of_metric["mask"] == part["mask"].iloc[0]]
    for method, rows in of_mask.groupby("method", sort=False):
        if (rows["better"] == method).all():
            return method
    return None


def set_table(
    sets: pd.DataFrame, spread: pd.DataFrame, mask: str, subject: Subject
) -> Table | None:
    """Show the measures of whole sets under one mask; every value with its interval and its N.

    Of one `subject`, with the methods that have any; None where no method has.
    """
    metrics = set_metrics(subject, where="page")
    part = sets[(sets["mask"] == mask) & sets["metric"].isin(metrics)]
    if part.empty:
        return None
    metrics = {name: metrics[name] for name in metrics if name in set(part["metric"])}
    wide = widened(part, spread)
    best = {name: best_set(wide[wide["metric"] == name], metrics[name]) for name in metrics}
    rows = []
    for method, values in part.groupby("method", sort=False):
        of_method = {row["metric"]: row for row in values.to_dict("records")}
        cells = []
        for name, metric in metrics.items():
            apart = over_trainings(spread, mask, method, name, metric)
            cells.append(_set_cell(metric, of_method.get(name), apart, best[name] == method))
        rows.append([Cell(method), *cells])
    return Table([Column("method"), *_columns(metrics)], rows)


def _set_cell(metric: Metric, row: Facts | None, apart: str, best: bool) -> Cell:
    if row is None:
        return Cell("–", math.nan)
    value, low, high = (metric.factor * row[key] for key in ("value", "low", "high"))
    note = _joined(span(low, high, metric.decimals), apart, f"N = {row['faces']}")
    return numeric(value, metric.decimals, note, best)


def difference_table(differences: pd.DataFrame, mask: str) -> Table:
    """Show the paired differences under one mask, every pair once."""
    metrics = face_metrics("page")
    rows = []
    for method, other, of_pair in pairs_once(differences, mask):
        cells = [Cell(method), Cell(other)]
        for name, metric in metrics.items():
            row = of_pair.loc[name]
            value, low, high = (metric.factor * row[key] for key in ("difference", "low", "high"))
            text = number(float(value), metric.decimals, "+")
            ends = (metric.factor * row[key] for key in ("training_low", "training_high"))
            over = span(*ends, metric.decimals, "+")
            note = _joined(span(low, high, metric.decimals, "+"), over and f"trainings {over}")
            cells.append(Cell(text, float(value), note, bool(row["better"])))
        rows.append(cells)
    return Table([Column("method"), Column("minus"), *_columns(metrics)], rows)


def pairs_once(differences: pd.DataFrame, mask: str) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield every two methods of a mask once, with their differences, indexed by measure."""
    part = differences[differences["mask"] == mask]
    by_pair = {key: rows.set_index("metric") for key, rows in part.groupby(["method", "other"])}
    for method, other in itertools.combinations(dict.fromkeys(part["method"]), 2):
        yield method, other, by_pair[method, other]


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


def likeness(sets: pd.DataFrame, model: str, where: Where) -> dict[str, str]:
    """Return the measures of a model's samples as text with their N, by heading."""
    part = sets[sets["model"] == model].set_index("metric")
    return {
        metric.heading: f"{number(metric.factor * part.loc[name, 'value'], metric.decimals)} "
        f"(N = {part.loc[name, 'faces']})"
        for name, metric in set_metrics("generator", where=where).items()
        if name in part.index
    }


def model_view(
    name: str, history: str, losses: str, samples: str, gif: str, settings: Facts, captions: Facts
) -> Facts:
    """Return what the page shows of one model: its files, and what is in settings.json.

    `captions` say what "losses", "samples" and "gif" show. `warnings` is None where the training
    does not look for any.
    """
    try:
        epochs = pd.read_csv(history)
        last = epochs.iloc[-1].to_dict()
    except (ValueError, IndexError) as error:
        raise FacefillError(
            f"{history}: no epoch in it; delete its folder and run again"
        ) from error
    return {
        "name": name,
        "captions": {"losses": "", "samples": "", "gif": ""} | captions,
        "warnings": settings.get("warnings"),
        "kept": _kept_epoch(epochs),
        # Of a model that has no epochs the last row is only the last value that was tried.
        "last": {key: f"{value:,.6g}" for key, value in last.items() if pd.notna(value)}
        if "epoch" in last
        else {},
        "settings": {k: _setting(value) for k, value in settings.items() if k != "warnings"},
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


def data_view(manifest: pd.DataFrame, sizes: Facts) -> dict[str, Any]:
    """Return what the page shows of the data: counts by status, rejected photos, split sizes.

    `manifest` is flatten's, `sizes` the numbers of "faces" and "people" by the names of splits.
    """
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
            (name, number(faces, 0), number(sizes["people"][name], 0))
            for name, faces in sizes["faces"].items()
        ],
    }


def origin_view(origin: Facts) -> Facts | None:
    """Return what the page says of a transfer's origin.json, with the counts as text."""
    if not origin:
        return None
    set_aside = origin["set_aside"]
    return origin | {
        "all_set_aside": number(sum(set_aside.values()), 0),
        "set_aside": {reason: number(count, 0) for reason, count in set_aside.items()},
        "trained_on": number(origin["faces"]["train"], 0),
        "trained_on_people": number(origin["people"]["train"], 0),
        "bundle": origin.get("bundle"),
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


def write_page(path: Path | str, template: Path | str, context: Facts, escape: bool = True) -> None:
    """Render the Jinja2 `template` with `context`, all of it escaped for HTML if `escape`."""
    environment = jinja2.Environment(
        autoescape=escape, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(Path(template).read_text(encoding="utf-8")).render(context)
    # Bytes of file names that are not UTF-8 arrive as lone surrogates: show them as \udcXX.
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))
