"""The tables of the report: every face's measures, their means and differences with intervals."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facefill.core.bootstrap import limits, resampled_means
from facefill.core.errors import FacefillError
from facefill.core.files import read_table
from facefill.metrics import Metric, SetValue, face_metrics
from facefill.report import trainings

DECIMALS = 6  # of differences, as in the tables: what rounds to 0 is no difference
SETS = ["metric", *SetValue._fields]
SEARCH = ["face", "step", "loss", "contextual", "prior", "unweighted"]

Pair = tuple[str, str]  # a mask's name, a method's name


def masks_of(pairs: Iterable[Pair]) -> list[str]:
    """Return the masks of `pairs`, each once, in their order."""
    return list(dict.fromkeys(mask for mask, _ in pairs))


def methods_of(pairs: Iterable[Pair], mask: str) -> list[str]:
    """Return the methods that `pairs` name with `mask`, in their order."""
    return [method for name, method in pairs if name == mask]


def gather(
    files: Sequence[Path | str], pairs: Sequence[Pair], face_counts: Mapping[str, int]
) -> pd.DataFrame:
    """Join the measures of all pairs: `mask,method,face` and face_metrics(), sorted by these three.

    `files` are in the order of `pairs`; `face_counts` say by method how many faces it was to
    complete. Raises FacefillError when it has not, or lacks a face that a method of the same mask
    and of no more faces has: their means could not be compared.
    """
    metrics = list(face_metrics())
    parts = [
        read_table(file, ["face", *metrics], text=["face"]).assign(mask=mask, method=method)
        for file, (mask, method) in zip(files, pairs, strict=True)
    ]
    table = pd.concat(parts, ignore_index=True)[["mask", "method", "face", *metrics]]
    table[metrics] = table[metrics].astype(float)
    _check_faces(table, face_counts)
    return table.sort_values(["mask", "method", "face"], ignore_index=True)


def gather_trainings(
    files: Sequence[Path | str],
    further: Sequence[tuple[str, str, int]],
    face_counts: Mapping[str, int],
) -> pd.DataFrame:
    """Join the measures by further trainings: `mask,method,training,face` and face_metrics().

    `files` are in the order of `further`: masks, methods and numbers of trainings. Raises
    FacefillError as `gather` does.
    """
    parts = []
    for number in sorted({training for _, _, training in further}):
        chosen = [place for place, (_, _, training) in enumerate(further) if training == number]
        pairs = [(further[place][0], further[place][1]) for place in chosen]
        part = gather([files[place] for place in chosen], pairs, face_counts)
        parts.append(part.assign(training=number))
    return pd.concat(parts, ignore_index=True) if parts else trainings.NONE


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
class Estimate:
    """The mean measures of methods on one set of faces, and on resampled people."""

    methods: list[str]  # those that completed all of these faces
    faces: int
    counts: np.ndarray  # int [methods, metrics]: faces that have a value
    people: np.ndarray  # int [methods, metrics]: whose faces these are, each person once
    means: np.ndarray  # float [methods, metrics]
    resampled: np.ndarray  # float [resamples, methods, metrics], the same people for all


@dataclass(frozen=True)
class Means:
    """The mean measures of one mask's methods, on every set of faces that is compared."""

    mask: str
    metrics: list[str]  # columns of the estimates
    faces: dict[str, frozenset[str]]  # by method
    estimates: dict[frozenset[str], Estimate]  # of every method's faces, and of what two share

    def of(self, *methods: str) -> tuple[Estimate, list[int]]:
        """The estimate on the faces that all of `methods` completed, and their rows in it."""
        shared = frozenset.intersection(*(self.faces[method] for method in methods))
        estimate = self.estimates[shared]
        return estimate, [estimate.methods.index(method) for method in methods]


def bootstrap(
    table: pd.DataFrame, pairs: Sequence[Pair], identities: Mapping[str, str]
) -> list[Means]:
    """Return the Means of every mask of `pairs`, masks and methods in their order.

    `table` is that of `gather`, or holds some of the measures; the order of its rows does not
    matter. `identities` say by face who it is: people are resampled.
    """
    return [_means(table, mask, methods_of(pairs, mask), identities) for mask in masks_of(pairs)]


def _means(
    table: pd.DataFrame, mask: str, methods: list[str], identities: Mapping[str, str]
) -> Means:
    metrics = [name for name in face_metrics() if name in table]
    parts = {
        method: part.set_index("face")[metrics]
        for method, part in table[table["mask"] == mask].groupby("method")
    }
    faces = {method: frozenset(parts[method].index) for method in methods}
    estimates = {}
    for shared in {first & second for first in faces.values() for second in faces.values()}:
        complete = [method for method in methods if shared <= faces[method]]
        rows = sorted(shared)
        people = [identities[face] for face in rows]
        measured = [parts[method].loc[rows] for method in complete]
        estimates[shared] = _estimate(complete, measured, people)
    return Means(mask, metrics, faces, estimates)


def _estimate(methods: list[str], parts: list[pd.DataFrame], people: list[str]) -> Estimate:
    values = np.stack([part.to_numpy(float) for part in parts], axis=1)
    valid = ~np.isnan(values)
    counts = valid.sum(0)
    with np.errstate(invalid="ignore"):
        means = np.nansum(values, axis=0) / counts
    measured = pd.DataFrame(valid.reshape(len(valid), -1)).groupby(people).any().sum()
    return Estimate(
        methods=methods,
        faces=len(values),
        counts=counts,
        people=measured.to_numpy().reshape(counts.shape),
        means=means,
        resampled=resampled_means(values, people),
    )


def summarise(every: Sequence[Means]) -> pd.DataFrame:
    """Return a row per mask and method: mask, method, faces, and for every measure its mean
    `{metric}` and the limits `{metric}_low` and `{metric}_high` of the 95 % interval.

    The limits are NaN for fewer than two people, the mean for no value.
    """
    rows = []
    for means in every:
        for method in means.faces:
            estimate, (place,) = means.of(method)
            low, high = _limits(estimate.resampled[:, place], estimate.people[place])
            row = {"mask": means.mask, "method": method, "faces": estimate.faces}
            for column, metric in enumerate(means.metrics):
                row[metric] = estimate.means[place, column]
                row[f"{metric}_low"] = low[column]
                row[f"{metric}_high"] = high[column]
            rows.append(row)
    return pd.DataFrame(rows)


def differences(every: Sequence[Means], further: pd.DataFrame = trainings.NONE) -> pd.DataFrame:
    """Compare every method with every other one on the faces that both have completed.

    Returns mask, method, other, metric, faces, difference, low, high, better, trainings,
    training_low, training_high: the mean over the `faces` that have the measure of method minus
    other, and its 95 % interval over resampled people; the 95 % interval over trainings and how
    many these are, where one of the two has `further` ones (`gather_trainings`). `better` names
    the better of the two where the intervals exclude 0, each that there is; else it is empty, as
    it is for measures that are not ranked.
    A row for (method, other) and one for (other, method), in the order of the methods.
    """
    rows = []
    for means in every:
        for method, other in itertools.permutations(means.faces, 2):
            rows += _difference(means, method, other, further)
    columns = ["mask", "method", "other", "metric", "faces", "difference", "low", "high", "better"]
    return pd.DataFrame(rows, columns=[*columns, "trainings", "training_low", "training_high"])


def _difference(means: Means, method: str, other: str, further: pd.DataFrame) -> list[tuple]:
    metrics = face_metrics()
    estimate, (first, second) = means.of(method, other)
    # Both have a value for the same faces: the mask alone decides where there is none.
    counts = estimate.counts[first]
    resampled = estimate.resampled[:, first] - estimate.resampled[:, second]
    low, high = _limits(resampled, estimate.people[first])
    mean = estimate.means[first] - estimate.means[second]
    shared = means.faces[method] & means.faces[other]
    count, *of_trainings = trainings.limits_of_difference(
        *(
            trainings.means(further, means.mask, name, shared, estimate.means[place])
            for name, place in ((method, first), (other, second))
        )
    )
    rows = []
    for column, metric in enumerate(means.metrics):
        values = mean[column], low[column], high[column], *(ends[column] for ends in of_trainings)
        values = [round(float(value), DECIMALS) + 0.0 for value in values]  # + 0: no -0
        ends = values[1:] if count > 1 else values[1:3]
        better = ""
        if metrics[metric].ranked and (min(ends) > 0 or max(ends) < 0):
            higher = metrics[metric].better == "higher"
            better = method if (values[0] > 0) == higher else other
        key = means.mask, method, other, metric, int(counts[column])
        rows.append((*key, *values[:3], better, count, *values[3:]))
    return rows


def _limits(resampled: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The interval's limits, NaN for fewer than two people."""
    return tuple(np.where(people < 2, np.nan, limit) for limit in limits(resampled))


def gather_sets(
    files: Iterable[Path | str], columns: Sequence[str], names: Iterable[Sequence[str]]
) -> pd.DataFrame:
    """Join measures of sets: `columns`, metric and SetValue; `names` are the columns by file."""
    parts = [
        read_table(file, SETS, text=["metric"])
        .astype({"value": float, "faces": int, "low": float, "high": float})
        .assign(**dict(zip(columns, name, strict=True)))
        for file, name in zip(files, names, strict=True)
    ]
    columns = [*columns, *SETS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def best_set(sets: pd.DataFrame, metric: Metric) -> str | None:
    """The method whose interval lies beyond those of all others on the better side, if any.

    `sets` are the rows of one measure under one mask. Whole sets have no paired differences, so
    this asks for more than `page.best_method` does.
    """
    if sets.empty:
        return None
    sign = 1 if metric.better == "higher" else -1
    best = sets.iloc[(sign * sets["value"]).fillna(-np.inf).argmax()]
    others = sets[sets["method"] != best["method"]]
    near, far = ("low", "high") if sign > 0 else ("high", "low")
    beyond = len(others) and (sign * best[near] > sign * others[far]).all()
    return best["method"] if metric.ranked and beyond else None


def read_search(file: Path | str) -> dict[str, pd.DataFrame]:
    """Return the losses of one search: a row per step, a column per face.

    They are `loss`, `contextual` and, however the method weighs the known pixels, `unweighted`.
    A face whose search has ended early keeps its last losses.
    """
    table = read_table(file, SEARCH, text=["face"])
    return {
        name: table.pivot_table(index="step", columns="face", values=name).sort_index().ffill()
        for name in ("loss", "contextual", "unweighted")
    }
