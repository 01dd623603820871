"""The tables of the report: every face's metrics, their means with confidence intervals."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from facefill.errors import FacefillError
from facefill.files import read_table
from facefill.measure import FACE_METRICS

CONFIDENCE = 0.95

Run = tuple[str, str]  # a mask's name, a method's name


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


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and the limits of its 95 % confidence interval (Student's t).

    mean -+ t(0.975, n - 1) s / sqrt(n), with s the sample's standard deviation; NaN values do not
    count, the limits are NaN for fewer than two values, the mean is NaN for none.
    """
    values = np.asarray(values, np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return (float(values[0]) if len(values) else np.nan), np.nan, np.nan
    mean = float(values.mean())
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values))
    return mean, mean - half, mean + half


def summarise(table: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    """Return a row per run, in the order of `runs`: mask, method, faces, and for every metric its
    mean `{metric}` and the limits `{metric}_low` and `{metric}_high` of `interval`."""
    rows = []
    parts = dict(iter(table.groupby(["mask", "method"])))
    for mask, method in runs:
        part = parts[mask, method]
        row = {"mask": mask, "method": method, "faces": len(part)}
        for metric in FACE_METRICS:
            row[metric], row[f"{metric}_low"], row[f"{metric}_high"] = interval(part[metric])
        rows.append(row)
    return pd.DataFrame(rows)


def gather_sets(files: Sequence[Path | str], runs: Sequence[Run]) -> pd.DataFrame:
    """Join the set metrics of all runs: mask,method,metric,value,faces, in the order of `runs`."""
    parts = []
    for file, (mask, method) in zip(files, runs, strict=True):
        part = read_table(file, ["metric", "value", "faces"], text=["metric"])
        part = part[["metric", "value", "faces"]]
        part.insert(0, "mask", mask)
        part.insert(1, "method", method)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
