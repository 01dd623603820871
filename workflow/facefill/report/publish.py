"""The figures of a report as a Markdown page: it can be published where the faces cannot."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from facefill.core.files import read_json, read_table
from facefill.metrics import Metric, face_metrics, set_metrics
from facefill.report import page
from facefill.report.fit import fit_table, fits_over_time
from facefill.report.tables import SETS, Pair, best_set, read_search
from facefill.report.timings import read_jobs, seconds_per_face
from facefill.report.trainings import VALUES, spread, widened

TRAININGS = ("training_low", "training_high")


def publish(
    file: Path | str,
    inputs: Mapping[str, Any],
    *,
    dataset: str,
    searched: Iterable[Pair],
    jobs: Sequence[Path | str],
    command: str,
) -> None:
    """Write `file` from `inputs`, which have their names in rules/publish.smk.

    They are tables and the provenance of a report, and the search.csv of the pairs of mask and
    method `searched`. `jobs` are the timings of the jobs as JSON, `command` is what made the page.
    Raises FacefillError when one of them is damaged.
    """
    metrics = face_metrics("published")
    columns = [column for name in metrics for column in (name, f"{name}_low", f"{name}_high")]
    names = ["mask", "method"]
    means = read_table(inputs["summary"], [*names, "faces", *columns], text=names)
    names = ["mask", "method", "other", "metric", "better"]
    pairs = read_table(
        inputs["differences"], [*names, "difference", "low", "high", *TRAININGS], text=names
    )
    every = read_table(inputs["trainings"], VALUES, text=["mask", "method", "metric"])
    over = spread(every.astype({"value": float}))
    names = ["stage", "name", "unit"]
    stages = read_table(inputs["timings"], [*names, "jobs", "seconds", "items"], text=names)
    damaged = "not a report's provenance; delete it and run again"
    facts = read_json(inputs["provenance"], damaged)
    masks = list(dict.fromkeys(means["mask"]))
    timed = read_jobs(jobs)
    seconds = seconds_per_face(timed)
    searches = dict(zip(map(tuple, searched), inputs["searches"], strict=True))
    losses = {pair: read_search(file)["unweighted"] for pair, file in searches.items()}
    models = {method: facts["config"]["methods"][method].get("model", "") for _, method in searches}
    fits = fit_table(fits_over_time(losses, timed), models)
    names = ["mask", "method", "metric"]
    whole = read_table(inputs["set_metrics"], [*names, *SETS[1:]], text=names)
    measured = set(whole["metric"])
    published = {
        title: {name: metric for name, metric in of_subject.items() if name in measured}
        for title, of_subject in (
            ("Of the whole set", set_metrics("completions", where="published")),
            ("Of several completions of each face", set_metrics("samples", where="published")),
        )
    }
    sets = read_table(inputs["model_metrics"], ["model", *SETS], text=["model", "metric"])
    context = {
        "command": command,
        "dataset": dataset,
        "facts": facts,
        "config": yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True),
        "counts": _range(means["faces"]),
        "trainings": int(over["trainings"].max()) if len(over) else 0,
        "remarks": {metric.heading: metric.remark for metric in metrics.values()},
        "explanations": {
            "faces": page.explanations(metrics),
            "sets": [text for of in published.values() for text in page.explanations(of)],
            "models": page.explanations(set_metrics("generator", where="published")),
        },
        "masks": {
            mask: _rows(means[means["mask"] == mask], pairs, seconds, over) for mask in masks
        },
        "pairs": {mask: _differences(pairs, mask) for mask in masks},
        "sets": {
            mask: [
                _sets(title, whole[whole["mask"] == mask], metrics, over)
                for title, metrics in published.items()
                if metrics
            ]
            for mask in masks
        },
        "fits": {mask: page.fit_rows(fits, mask) for mask in masks},
        "models": {
            model: page.likeness(sets, model, "published") for model in dict.fromkeys(sets["model"])
        },
        "stages": [_stage(row) for row in stages.to_dict("records")],
    }
    page.write_page(file, inputs["template"], context, escape=False)


def _range(counts: pd.Series) -> str:
    return f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()} to {counts.max()}"


def _rows(
    means: pd.DataFrame, pairs: pd.DataFrame, seconds: dict[Pair, float], over: pd.DataFrame
) -> list[dict[str, Any]]:
    """A row of text per method of one mask; one that is better than every other is bold."""
    metrics = face_metrics("published")
    best = {name: page.best_method(means, pairs, name) for name in metrics}
    rows = []
    for row in means.to_dict("records"):
        cells = [
            _cell(
                row,
                (name, f"{name}_low", f"{name}_high"),
                metric,
                best[name] == row["method"],
                apart=page.over_trainings(over, row["mask"], row["method"], name, metric),
            )
            for name, metric in metrics.items()
        ]
        each = seconds.get((row["mask"], row["method"]))
        each = "–" if each is None else f"{each:.3g}"
        rows.append(row | {"cells": cells, "seconds": each})
    return rows


def _differences(pairs: pd.DataFrame, mask: str) -> list[dict[str, Any]]:
    """Every two methods of one mask, once: the differences as text."""
    metrics, rows = face_metrics("published"), []
    for method, other, of_pair in page.pairs_once(pairs, mask):
        cells = []
        for name, metric in metrics.items():
            row = of_pair.loc[name]
            keys = ("difference", "low", "high")
            low, high = (metric.factor * row[key] for key in TRAININGS)
            over = page.span(low, high, metric.decimals, "+")
            apart = over and f"(trainings {over})"
            cells.append(_cell(row, keys, metric, bool(row["better"]), sign="+", apart=apart))
        rows.append({"pair": f"{method} − {other}", "cells": cells})
    return rows


def _sets(
    title: str, whole: pd.DataFrame, metrics: Mapping[str, Metric], over: pd.DataFrame
) -> dict[str, Any]:
    """A table of one mask: a row of text per method that has any of the measures, each with N."""
    whole = whole[whole["metric"].isin(metrics)]
    wide = widened(whole, over)
    best = {name: best_set(wide[wide["metric"] == name], metrics[name]) for name in metrics}
    rows = []
    for method, values in whole.groupby("method", sort=False):
        of_method, cells = {row["metric"]: row for row in values.to_dict("records")}, []
        for name, metric in metrics.items():
            if (row := of_method.get(name)) is None:
                cells.append("–")
                continue
            apart = page.over_trainings(over, row["mask"], method, name, metric)
            keys = ("value", "low", "high")
            text = _cell(row, keys, metric, best[name] == method, apart=apart)
            cells.append(text if text == "–" else f"{text} (N = {row['faces']:.0f})")
        rows.append({"method": method, "cells": cells})
    headings = [f"{metric.heading}, {metric.remark}" for metric in metrics.values()]
    return {"title": title, "headings": headings, "rows": rows}


def _cell(
    row: Mapping[str, Any],
    keys: tuple[str, str, str],
    metric: Metric,
    bold: bool,
    *,
    sign: str = "",
    apart: str,
) -> str:
    """A value and its interval, whose `keys` in `row` are given, and what trainings say of it."""
    value, low, high = (metric.factor * row[key] for key in keys)
    if pd.isna(value):
        return "–"
    form = f"{sign}.{metric.decimals}f"
    text = f"{value:{form}}"
    text += "" if pd.isna(low) else f" [{low:{form}}, {high:{form}}]"
    text += apart and f" {apart}"
    return f"**{text}**" if bold else text


def _stage(row: dict[str, Any]) -> dict[str, str]:
    work = f"{row['items']:,.0f} {row['unit']}" if row["items"] else "–"
    stage = f"&emsp;{row['stage']} {row['name']}" if row["name"] else row["stage"]
    return row | {"stage": stage, "seconds": f"{row['seconds']:,.1f}", "work": work}
