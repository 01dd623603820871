"""How sure a mean over faces is: the percentile bootstrap.

Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", sections 13.3 (percentile
interval) and 16.2 (resampling pairs). Faces are drawn with replacement, as many as there are; the
interval holds the middle 95 % of the means of such sets. It says how the mean would move with
other faces of the same kind, not with another training.
"""

import warnings

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0
CHUNK = 1 << 22  # drawn faces at a time: tens of megabytes, however many faces there are


def resampled_means(values: np.ndarray, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Return the means of `values`, [faces, ...], over resampled faces: float64 [resamples, ...].

    All columns see the same resampled faces, so that the difference of two columns' means is the
    mean of the paired differences. NaN values do not count; a mean of none is NaN.
    """
    values = np.asarray(values, np.float64)
    faces, columns = len(values), values.reshape(len(values), -1)
    valid = ~np.isnan(columns)
    filled = np.where(valid, columns, 0)
    random = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, max(1, CHUNK // faces)):
        count = min(resamples - start, max(1, CHUNK // faces))
        drawn = random.integers(0, faces, (count, faces)) + faces * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * faces).reshape(count, faces)
        with np.errstate(invalid="ignore"):
            means.append((times @ filled) / (times @ valid.astype(np.float64)))
    return np.concatenate(means).reshape(resamples, *values.shape[1:])


def limits(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits of the 95 % interval of `resampled_means`, [...] each."""
    tail = (1 - CONFIDENCE) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without any value
        low, high = np.nanquantile(means, [tail, 1 - tail], axis=0)
    return low, high
