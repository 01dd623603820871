"""Intervals over people of measures of whole sets; none for fewer than two people."""

import math
from collections.abc import Sequence

import numpy as np

from facefill.core.bootstrap import limits, resampled_means, resampled_pairs
from facefill.metrics import SetValue

# Agresti and Coull 1998: of six faces that are all told rightly a bootstrap knows nothing but
# right answers. Two more people who are right and two who are wrong make the interval honest.
ADDED = [1.0, 1.0, 0.0, 0.0]


def share(right: np.ndarray, people: Sequence[str]) -> SetValue:
    """The mean of `right`, in 0..1 per face, [N]; NaN for N = 0.

    The interval is the percentile bootstrap with the people of ADDED among those drawn from.
    """
    if not len(right):
        return SetValue(math.nan, 0)
    value = float(np.mean(right))
    if len(set(people)) < 2:
        return SetValue(value, len(right))
    added = [f"added {number}" for number in range(len(ADDED))]
    means = resampled_means(np.append(right, ADDED), [*people, *added])
    low, high = limits(means)
    return SetValue(value, len(right), min(float(low), value), max(float(high), value))


def mean(values: np.ndarray, people: Sequence[str] | None) -> SetValue:
    """The mean of a value per face, [N], without NaN; NaN for no value."""
    values = np.asarray(values, np.float64)
    valid = ~np.isnan(values)
    count = int(valid.sum())
    value = float(values[valid].mean()) if count else math.nan
    if people is None or len(set(np.asarray(people)[valid])) < 2:
        return SetValue(value, count)
    return SetValue(value, count, *map(float, limits(resampled_means(values, people))))


def of_pairs(value: float, people: Sequence[str] | None, *matrices: np.ndarray) -> SetValue:
    """`value` with the interval of the mean over all pairs of faces, of a matrix [N, N].

    Of two matrices it is that of the first mean divided by the second.
    """
    count = len(matrices[0])
    if people is None or len(set(people)) < 2 or math.isnan(value):
        return SetValue(value, count)
    means = [resampled_pairs(matrix, people) for matrix in matrices]
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = limits(means[0] / means[1] if len(means) > 1 else means[0])
    return SetValue(value, count, float(low), float(high))
