"""Confidence intervals over people: the percentile bootstrap.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3 (percentile
interval); Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8 (groups
are drawn, not their members). People are drawn with replacement, as many as there are, each with
all of their faces: photos of one person are alike, and so is how well they are completed. The
interval holds the middle 95 % of the means of such sets. It says how the mean would move with other
people, not with another training.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
PAIR_RESAMPLES = 2000  # each costs N squared
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
    size, person = _numbered(people)
    sums, counts = np.zeros((2, size, columns.shape[1]))
    np.add.at(sums, person, np.where(valid, columns, 0))
    np.add.at(counts, person, valid)
    means = []
    with np.errstate(invalid="ignore"):
        for times in _drawn(size, resamples, seed):
            means.append((times @ sums) / (times @ counts))
    return np.concatenate(means).reshape(resamples, *values.shape[1:])


def resampled_pairs(
    matrix: np.ndarray, people: Sequence[str], resamples: int = PAIR_RESAMPLES, seed: int = SEED
) -> np.ndarray:
    """Return the means of a symmetric `matrix`, [faces, faces], over resampled people: [resamples].

    The mean is that over all pairs of two faces; a person who is drawn twice brings each pair as
    often as both of its faces are drawn together. NaN where only one face is drawn.
    """
    size, person = _numbered(people)
    own = np.diag(matrix)
    means = []
    with np.errstate(invalid="ignore"):
        for times in _drawn(size, resamples, seed):
            weights = times[:, person].astype(np.float64)
            squares = np.square(weights)
            sums = ((weights @ matrix) * weights).sum(1) - squares @ own
            means.append(sums / (np.square(weights.sum(1)) - squares.sum(1)))
    return np.concatenate(means)


def _numbered(people: Sequence[str]) -> tuple[int, np.ndarray]:
    """How many people there are, and the number of each face's person."""
    names, person = np.unique(np.asarray(people, str), return_inverse=True)
    return len(names), person


def _drawn(size: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of `size` people is drawn, int [some of the resamples, size]."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, max(1, CHUNK // size)):
        count = min(resamples - start, max(1, CHUNK // size))
        drawn = random.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)


def limits(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of the 95 % interval of `resampled_means`, [...] each."""
    tail = (1 - CONFIDENCE) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any value
        low, high = np.nanquantile(means, [tail, 1 - tail], axis=0)
    return low, high
