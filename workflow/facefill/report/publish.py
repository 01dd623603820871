"""The figures of a report as a Markdown page: it can be published where the faces cannot."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from facefill.core.errors import FacefillError
from facefill.core.files import read_table, write_bytes
from facefill.report.fit import fit_courses, fit_table
from facefill.report.page import best_method, fit_rows, likeness
from facefill.report.tables import read_search
from facefill.report.timings import read_jobs, seconds_per_face

# Metric, heading and decimals.
SHOWN = [
    ("hole_psnr", "hole PSNR [dB]", 2),
    ("hole_ssim", "hole SSIM", 3),
    ("ssim", "SSIM", 3),
    ("identity_distance", "identity distance", 3),
]


def publish(
    dataset: str,
    summary: Path | str,
    differences: Path | str,
    timings: Path | str,
    model_metrics: Path | str,
    provenance: Path | str,
    searches: Mapping[tuple[str, str], Path | str],
    jobs: Sequence[Path | str],
    template: Path | str,
    command: str,
    page: Path | str,
) -> None:
    """Write `page` from the tables and the provenance of a report; `command` is what made it.

    `searches` are the search.csv by mask and method, `jobs` the timings of the jobs as JSON.
    Raises FacefillError when one of them is damaged.
    """
    columns = [name for key, *_ in SHOWN for name in (key, f"{key}_low", f"{key}_high")]
    means = read_table(summary, ["mask", "method", "faces", *columns], text=["mask", "method"])
    names = ["mask", "method", "other", "metric", "better"]
    pairs = read_table(differences, [*names, "difference", "low", "high"], text=names)
    names = ["stage", "name", "unit"]
    stages = read_table(timings, [*names, "jobs", "seconds", "items"], text=names)
    facts = _facts(Path(provenance))
    masks = list(dict.fromkeys(means["mask"]))
    methods = facts["config"]["methods"]
    noted = read_jobs(jobs)
    seconds = seconds_per_face(noted)
    losses = {run: read_search(file)["unweighted"] for run, file in searches.items()}
    models = {method: methods[method]["model"] for _, method in searches}
    fits = fit_table(fit_courses(losses, noted), models)
    sets = read_table(
        model_metrics, ["model", "metric", "value", "faces"], text=["model", "metric"]
    )
    context = {
        "command": command,
        "dataset": dataset,
        "facts": facts,
        "config": yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True),
        "counts": _range(means["faces"]),
        "headings": [heading for _, heading, _ in SHOWN],
        "masks": {mask: _rows(means[means["mask"] == mask], pairs, seconds) for mask in masks},
        "pairs": {mask: _pairs(pairs[pairs["mask"] == mask]) for mask in masks},
        "fits": {mask: fit_rows(fits, mask) for mask in masks},
        "models": {model: likeness(sets, model) for model in dict.fromkeys(sets["model"])},
        "stages": [_stage(row) for row in stages.to_dict("records")],
    }
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(Path(template).read_text(encoding="utf-8")).render(context)
    write_bytes(page, text.encode("utf-8", errors="backslashreplace"))


def _range(counts: pd.Series) -> str:
    return f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"


def _facts(provenance: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(provenance.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise FacefillError(
            f"{provenance}: not a report's provenance; delete it and run again"
        ) from error


def _rows(
    means: pd.DataFrame, pairs: pd.DataFrame, seconds: dict[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """A row of text per method of one mask; one that is better than every other is bold."""
    bold = {key: best_method(means, pairs, key) for key, *_ in SHOWN}
    rows = []
    for row in means.to_dict("records"):
        cells = []
        for key, _, decimals in SHOWN:
            cell = _interval(row[key], row[f"{key}_low"], row[f"{key}_high"], decimals)
            cells.append(f"**{cell}**" if bold[key] == row["method"] else cell)
        each = seconds.get((row["mask"], row["method"]))
        each = "–" if each is None else f"{each:.3g}"
        rows.append(
            {"method": row["method"], "faces": row["faces"], "cells": cells, "seconds": each}
        )
    return rows


def _pairs(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Every pair of methods of one mask, once: the differences as text."""
    order = list(dict.fromkeys(pairs["method"]))
    rows = []
    for one, method in enumerate(order):
        for other in order[one + 1 :]:
            of_pair = pairs[(pairs["method"] == method) & (pairs["other"] == other)]
            of_pair = of_pair.set_index("metric")
            cells = []
            for key, _, decimals in SHOWN:
                row = of_pair.loc[key]
                cell = _interval(row["difference"], row["low"], row["high"], decimals, sign="+")
                cells.append(f"**{cell}**" if row["better"] else cell)
            rows.append({"pair": f"{method} − {other}", "cells": cells})
    return rows


def _interval(value: float, low: float, high: float, decimals: int, sign: str = "") -> str:
    if pd.isna(value):
        return "–"
    text = f"{value:{sign}.{decimals}f}"
    return text if pd.isna(low) else f"{text} [{low:{sign}.{decimals}f}, {high:{sign}.{decimals}f}]"


def _stage(row: dict[str, Any]) -> dict[str, str]:
    work = f"{row['items']:,.0f} {row['unit']}" if row["items"] else "–"
    name = f"{row['stage']} {row['name']}".strip()
    return {
        "stage": f"&emsp;{name}" if row["name"] else name,
        "jobs": str(row["jobs"]),
        "seconds": f"{row['seconds']:,.1f}",
        "work": work,
    }
