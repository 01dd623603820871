"""Confidence intervals of means over faces: the percentile bootstrap.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3 (percentile
interval); Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8 (groups
are drawn, not their members). People are drawn with replacement, as many as there are, each with
all of their faces: photos of one person are alike, and so is how well they are completed. The
interval holds the middle 95 % of the means of such sets. It says how the mean would move with other
people, not with another training.
"""

import warnings
from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
CHUNK = 1 << 22  # drawn people at a time: tens of megabytes, however many there are


def resampled_means(
    values: np.ndarray, people: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
) -> np.ndarray:
    """Return the means of `values`, [faces, ...], over resampled people: float64 [resamples, ...].

    `people` says whose face each one is. All columns see the same resampled people, so that the
    difference of two columns' means is the mean of the paired differences. NaN values do not
    count; a mean of none is NaN.
    """
    values = np.asarray(values, np.float64)
    columns = values.reshape(len(values), -1)
    valid = ~np.isnan(columns)
    names, person = np.unique(np.asarray(people, str), return_inverse=True)
    sums, counts = np.zeros((2, len(names), columns.shape[1]))
    np.add.at(sums, person, np.where(valid, columns, 0))
    np.add.at(counts, person, valid)
    random, size = np.random.default_rng(seed), len(names)
    means = []
    for start in range(0, resamples, max(1, CHUNK // size)):
        count = min(resamples - start, max(1, CHUNK // size))
        drawn = random.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        with np.errstate(invalid="ignore"):
            means.append((times @ sums) / (times @ counts))
    return np.concatenate(means).reshape(resamples, *values.shape[1:])


def limits(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of the 95 % interval of `resampled_means`, [...] each."""
    tail = (1 - CONFIDENCE) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any value
        low, high = np.nanquantile(means, [tail, 1 - tail], axis=0)
    return low, high
