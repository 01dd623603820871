"""The tables of the report: every face's metrics, their means and differences with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facefill.core.errors import FacefillError
from facefill.core.files import read_table
from facefill.metrics import FACE_METRICS, HIGHER_IS_BETTER
from facefill.report.bootstrap import limits, resampled_means

DECIMALS = 6  # of differences, as in the tables: what rounds to 0 is no difference
SEARCH = ["face", "step", "loss", "contextual", "prior", "unweighted"]

Run = tuple[str, str]  # a mask's name, a method's name


def masks_of(runs: Iterable[Run]) -> list[str]:
    """Return the masks of `runs`, each once, in their order."""
    return list(dict.fromkeys(mask for mask, _ in runs))


def gather(
    files: Sequence[Path | str], runs: Sequence[Run], face_counts: Mapping[str, int]
) -> pd.DataFrame:
    """Join the metrics of all runs: `mask,method,face` and FACE_METRICS, sorted by these three.

    `files` are in the order of `runs`; `face_counts` say by method how many faces it was to
    complete. Raises FacefillError when it has not, or lacks a face that a method of the same mask
    and of no more faces has: their means could not be compared.
    """
    parts = []
    for file, (mask, method) in zip(files, runs, strict=True):
        part = read_table(file, ["face", *FACE_METRICS], text=["face"])
        part.insert(0, "mask", mask)
        part.insert(1, "method", method)
        parts.append(part[["mask", "method", "face", *FACE_METRICS]])
    table = pd.concat(parts, ignore_index=True)
    table[FACE_METRICS] = table[FACE_METRICS].astype(float)
    _check_faces(table, face_counts)
    return table.sort_values(["mask", "method", "face"], ignore_index=True)


def _check_faces(table: pd.DataFrame, face_counts: Mapping[str, int]) -> None:
    for mask, of_mask in table.groupby("mask", sort=True):
        faces = {method: set(part["face"]) for method, part in of_mask.groupby("method")}
        for method, measured in faces.items():
            expected = face_counts[method]
            others = [faces[other] for other in faces if face_counts[other] <= expected]
            if missing := sorted(set().union(*others) - measured):
                raise FacefillError(
                    f"mask {mask}, method {method}: the completion of face {missing[0]!r} is "
                    f"missing ({len(missing)} in all), another method has it; delete "
                    f"completions/{mask}/{method} and run again"
                )
            if len(measured) != expected:
                raise FacefillError(
                    f"mask {mask}, method {method}: {len(measured)} faces were measured instead of "
                    f"{expected}; delete completions/{mask}/{method} and run again"
                )


@dataclass(frozen=True)
class Sample:
    """The mean metrics of methods on one set of faces, and those of resampled faces."""

    methods: list[str]  # those that completed all of these faces
    faces: int
    counts: np.ndarray  # int [methods, FACE_METRICS]: faces that have a value
    people: np.ndarray  # int [methods, FACE_METRICS]: whose faces these are, each person once
    means: np.ndarray  # float [methods, FACE_METRICS]
    resampled: np.ndarray  # float [resamples, methods, FACE_METRICS], the same people for all


@dataclass(frozen=True)
class Means:
    """All that is known of the mean metrics of one mask's methods."""

    mask: str
    faces: dict[str, frozenset[str]]  # by method
    samples: dict[frozenset[str], Sample]  # of every method's faces, and of what two share

    def of(self, method: str, other: str | None = None) -> tuple[Sample, list[int]]:
        """The sample on the faces of `method`, or on those it shares with `other`; their places."""
        methods = [method] if other is None else [method, other]
        sample = self.samples[frozenset.intersection(*(self.faces[one] for one in methods))]
        return sample, [sample.methods.index(one) for one in methods]


def bootstrap(
    table: pd.DataFrame, runs: Sequence[Run], identities: Mapping[str, str]
) -> list[Means]:
    """Return the Means of every mask of `runs`, masks and methods in their order.

    `table` is that of `gather`; the order of its rows does not matter. `identities` say by face
    who it is: people are resampled.
    """
    return [
        _means(table, mask, [method for name, method in runs if name == mask], identities)
        for mask in masks_of(runs)
    ]


def _means(
    table: pd.DataFrame, mask: str, methods: list[str], identities: Mapping[str, str]
) -> Means:
    parts = {
        method: part.set_index("face")[FACE_METRICS]
        for method, part in table[table["mask"] == mask].groupby("method")
    }
    faces = {method: frozenset(parts[method].index) for method in methods}
    shared = {one & two for one in faces.values() for two in faces.values()}
    samples = {}
    for common in shared:
        having = [method for method in methods if common <= faces[method]]
        rows = sorted(common)
        people = [identities[face] for face in rows]
        samples[common] = _sample(having, [parts[method].loc[rows] for method in having], people)
    return Means(mask, faces, samples)


def _sample(methods: list[str], parts: list[pd.DataFrame], people: list[str]) -> Sample:
    values = np.stack([part.to_numpy(float) for part in parts], axis=1)
    valid = ~np.isnan(values)
    counts = valid.sum(0)
    with np.errstate(invalid="ignore"):
        means = np.nansum(values, axis=0) / counts
    having = pd.DataFrame(valid.reshape(len(valid), -1)).groupby(people).any().sum()
    return Sample(
        methods,
        len(values),
        counts,
        having.to_numpy().reshape(counts.shape),
        means,
        resampled_means(values, people),
    )


def summarise(every: Sequence[Means]) -> pd.DataFrame:
    """Return a row per mask and method: mask, method, faces, and for every metric its mean
    `{metric}` and the limits `{metric}_low` and `{metric}_high` of the 95 % interval.

    The limits are NaN for fewer than two people, the mean for no value.
    """
    rows = []
    for means in every:
        for method in means.faces:
            sample, (place,) = means.of(method)
            low, high = _limits(sample.resampled[:, place], sample.people[place])
            row = {"mask": means.mask, "method": method, "faces": sample.faces}
            for column, metric in enumerate(FACE_METRICS):
                row[metric] = sample.means[place, column]
                row[f"{metric}_low"] = low[column]
                row[f"{metric}_high"] = high[column]
            rows.append(row)
    return pd.DataFrame(rows)


def differences(every: Sequence[Means]) -> pd.DataFrame:
    """Compare every method with every other one on the faces that both have completed.

    Returns mask, method, other, metric, faces, difference, low, high, better: the mean over the
    `faces` that have the metric of method minus other, and its 95 % interval over resampled
    people; `better` names the better of the two where that interval excludes 0, else it is empty.
    A row for (method, other) and one for (other, method), in the order of the methods.
    """
    rows = []
    for means in every:
        for method in means.faces:
            for other in means.faces:
                if method != other:
                    rows += _difference(means, method, other)
    columns = ["mask", "method", "other", "metric", "faces", "difference", "low", "high", "better"]
    return pd.DataFrame(rows, columns=columns)


def _difference(means: Means, method: str, other: str) -> list[tuple]:
    sample, (one, two) = means.of(method, other)
    # Both have a value for the same faces: the mask alone decides where there is none.
    counts = sample.counts[one]
    resampled = sample.resampled[:, one] - sample.resampled[:, two]
    low, high = _limits(resampled, sample.people[one])
    rows = []
    for column, metric in enumerate(FACE_METRICS):
        values = sample.means[one, column] - sample.means[two, column], low[column], high[column]
        values = [round(float(value), DECIMALS) + 0.0 for value in values]  # + 0: no -0
        better = ""
        if values[1] > 0 or values[2] < 0:
            better = method if (values[0] > 0) == (metric in HIGHER_IS_BETTER) else other
        rows.append((means.mask, method, other, metric, int(counts[column]), *values, better))
    return rows


def _limits(resampled: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval's limits, NaN where fewer than two people stand behind them."""
    return tuple(np.where(people < 2, np.nan, limit) for limit in limits(resampled))


def gather_sets(files: Sequence[Path | str], runs: Sequence[Run]) -> pd.DataFrame:
    """Join the set metrics of all runs: mask,method,metric,value,faces, in the order of `runs`."""
    parts = []
    for file, (mask, method) in zip(files, runs, strict=True):
        part = _read_sets(file)
        part.insert(0, "mask", mask)
        part.insert(1, "method", method)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def read_search(file: Path | str) -> dict[str, pd.DataFrame]:
    """Return the losses of one run's search: a row per step, a column per face.

    They are `loss`, `contextual` and, however the method weighs the known pixels, `unweighted`.
    A face whose search has ended early keeps its last losses.
    """
    table = read_table(file, SEARCH, text=["face"])
    return {
        name: table.pivot_table(index="step", columns="face", values=name).sort_index().ffill()
        for name in ("loss", "contextual", "unweighted")
    }


def gather_models(files: Sequence[Path | str], models: Sequence[str]) -> pd.DataFrame:
    """Join the set metrics of models: model,metric,value,faces, in the order of `models`."""
    parts = [
        _read_sets(file).assign(model=model) for file, model in zip(files, models, strict=True)
    ]
    columns = ["model", "metric", "value", "faces"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _read_sets(file: Path | str) -> pd.DataFrame:
    columns = ["metric", "value", "faces"]
    return read_table(file, columns, text=["metric"])[columns].astype(
        {"value": float, "faces": int}
    )
