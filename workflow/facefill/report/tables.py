"""The tables of the report: every face's metrics, their means and differences with intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facefill.errors import FacefillError
from facefill.files import read_table
from facefill.measure import FACE_METRICS, HIGHER_IS_BETTER
from facefill.report.bootstrap import limits, resampled_means

DECIMALS = 6  # of differences, as in the tables: what rounds to 0 is no difference
SEARCH = ["face", "step", "loss", "contextual", "prior"]

Run = tuple[str, str]  # a mask's name, a method's name


def masks_of(runs: Iterable[Run]) -> list[str]:
    """Return the masks of `runs`, each once, in their order."""
    return list(dict.fromkeys(mask for mask, _ in runs))


def gather(files: Sequence[Path | str], runs: Sequence[Run]) -> pd.DataFrame:
    """Join the metrics of all runs: `mask,method,face` and FACE_METRICS, sorted by these three.

    `files` are in the order of `runs`. Raises FacefillError when the methods of one mask were not
    measured on the same faces: their means could not be compared.
    """
    parts = []
    for file, (mask, method) in zip(files, runs, strict=True):
        part = read_table(file, ["face", *FACE_METRICS], text=["face"])
        part.insert(0, "mask", mask)
        part.insert(1, "method", method)
        parts.append(part[["mask", "method", "face", *FACE_METRICS]])
    table = pd.concat(parts, ignore_index=True)
    table[FACE_METRICS] = table[FACE_METRICS].astype(float)
    _check_same_faces(table)
    return table.sort_values(["mask", "method", "face"], ignore_index=True)


def _check_same_faces(table: pd.DataFrame) -> None:
    for mask, of_mask in table.groupby("mask", sort=True):
        faces = {method: set(part["face"]) for method, part in of_mask.groupby("method")}
        everything = set().union(*faces.values())
        for method, measured in faces.items():
            if missing := sorted(everything - measured):
                raise FacefillError(
                    f"mask {mask}, method {method}: the completion of face {missing[0]!r} is "
                    f"missing ({len(missing)} in all), another method has it; delete "
                    f"completions/{mask}/{method} and run again"
                )


@dataclass(frozen=True)
class Means:
    """The mean metrics of all methods of one mask, and those of resampled faces."""

    mask: str
    methods: list[str]
    faces: int
    counts: np.ndarray  # int [methods, FACE_METRICS]: faces that have a value
    means: np.ndarray  # float [methods, FACE_METRICS]
    resampled: np.ndarray  # float [resamples, methods, FACE_METRICS], the same faces for all


def bootstrap(table: pd.DataFrame, runs: Sequence[Run]) -> list[Means]:
    """Return the Means of every mask of `runs`, masks and methods in their order.

    `table` is that of `gather`; the order of its rows does not matter.
    """
    return [
        _means(table, mask, [method for name, method in runs if name == mask])
        for mask in masks_of(runs)
    ]


def _means(table: pd.DataFrame, mask: str, methods: list[str]) -> Means:
    parts = dict(iter(table[table["mask"] == mask].sort_values("face").groupby("method")))
    values = np.stack([parts[method][FACE_METRICS].to_numpy(float) for method in methods], axis=1)
    counts = (~np.isnan(values)).sum(0)
    with np.errstate(invalid="ignore"):
        means = np.nansum(values, axis=0) / counts
    return Means(mask, methods, len(values), counts, means, resampled_means(values))


def summarise(every: Sequence[Means]) -> pd.DataFrame:
    """Return a row per mask and method: mask, method, faces, and for every metric its mean
    `{metric}` and the limits `{metric}_low` and `{metric}_high` of the 95 % interval.

    The limits are NaN for fewer than two values, the mean for none.
    """
    rows = []
    for means in every:
        low, high = _limits(means.resampled, means.counts)
        for number, method in enumerate(means.methods):
            row = {"mask": means.mask, "method": method, "faces": means.faces}
            for column, metric in enumerate(FACE_METRICS):
                row[metric] = means.means[number, column]
                row[f"{metric}_low"] = low[number, column]
                row[f"{metric}_high"] = high[number, column]
            rows.append(row)
    return pd.DataFrame(rows)


def differences(every: Sequence[Means]) -> pd.DataFrame:
    """Compare every method with every other one on the same faces.

    Returns mask, method, other, metric, faces, difference, low, high, better: the mean over the
    `faces` that have the metric of method minus other, and its 95 % interval over resampled
    pairs; `better` names the better of the two where that interval excludes 0, else it is empty.
    A row for (method, other) and one for (other, method), in the order of the methods.
    """
    rows = []
    for means in every:
        for one, method in enumerate(means.methods):
            for two, other in enumerate(means.methods):
                if one != two:
                    rows += _difference(means, one, two, method, other)
    columns = ["mask", "method", "other", "metric", "faces", "difference", "low", "high", "better"]
    return pd.DataFrame(rows, columns=columns)


def _difference(means: Means, one: int, two: int, method: str, other: str) -> list[tuple]:
    # Both have a value for the same faces: the mask alone decides where there is none.
    counts = means.counts[one]
    low, high = _limits(means.resampled[:, one] - means.resampled[:, two], counts)
    rows = []
    for column, metric in enumerate(FACE_METRICS):
        values = means.means[one, column] - means.means[two, column], low[column], high[column]
        values = [round(float(value), DECIMALS) + 0.0 for value in values]  # + 0: no -0
        better = ""
        if values[1] > 0 or values[2] < 0:
            better = method if (values[0] > 0) == (metric in HIGHER_IS_BETTER) else other
        rows.append((means.mask, method, other, metric, int(counts[column]), *values, better))
    return rows


def _limits(resampled: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval's limits, NaN where fewer than two values stand behind them."""
    return tuple(np.where(counts < 2, np.nan, limit) for limit in limits(resampled))


def gather_sets(files: Sequence[Path | str], runs: Sequence[Run]) -> pd.DataFrame:
    """Join the set metrics of all runs: mask,method,metric,value,faces, in the order of `runs`."""
    parts = []
    for file, (mask, method) in zip(files, runs, strict=True):
        part = read_table(file, ["metric", "value", "faces"], text=["metric"])
        part = part[["metric", "value", "faces"]].astype({"value": float, "faces": int})
        part.insert(0, "mask", mask)
        part.insert(1, "method", method)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def mean_search(file: Path | str) -> pd.DataFrame:
    """Return the mean loss and contextual loss over all faces by step of one run's search.

    A face whose search has ended early keeps its last losses.
    """
    table = read_table(file, SEARCH, text=["face"])
    courses = table.pivot_table(index="step", columns="face", values=["loss", "contextual"])
    courses = courses.sort_index().ffill()
    return pd.DataFrame({name: courses[name].mean(axis=1) for name in ("loss", "contextual")})
