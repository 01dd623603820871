"""Several trainings of a model: how far the measures of what it completes lie apart.

An interval over people says how a mean would move with other faces; what is here says how it moves
with another training of the same settings (Bouthillier et al. 2021, "Accounting for Variance in
Machine Learning Benchmarks"). The first training is the one that tables and pictures show.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy.stats import t

from facefill.core.bootstrap import CONFIDENCE

FACES = ["mask", "method", "training", "face"]
NONE = pd.DataFrame(columns=FACES)  # no further trainings
VALUES = ["mask", "method", "training", "metric", "value"]


def values(
    metrics: pd.DataFrame, sets: pd.DataFrame, further: pd.DataFrame, further_sets: pd.DataFrame
) -> pd.DataFrame:
    """The value of every measure by every training: mask, method, training, metric, value.

    Of those methods that have several. `metrics` and `sets` are the measures of faces and of whole
    sets by the first ones, the others those of the further ones.
    """
    keys = ["mask", "method", "training"]
    of_faces = pd.concat([metrics.assign(training=1), further], ignore_index=True)
    names = [name for name in metrics if name not in FACES]
    means = of_faces.groupby(keys, sort=False)[names].mean().reset_index()
    means = means.melt(keys, names, "metric", "value")
    of_sets = pd.concat([sets.assign(training=1), further_sets], ignore_index=True)[VALUES]
    every = pd.concat([part for part in (means, of_sets) if len(part)], ignore_index=True)
    several = {tuple(key) for key in further[keys[:2]].to_numpy()}
    rows = [key in several for key in zip(every["mask"], every["method"], strict=True)]
    return every[rows].astype({"training": int}).sort_values(VALUES[:4], ignore_index=True)


def spread(every: pd.DataFrame) -> pd.DataFrame:
    """By (mask, method, metric): how many trainings, their standard deviation, least and most.

    `every` is what `values` returns. Measures without a value are left out.
    """
    groups = every.dropna(subset="value").groupby(["mask", "method", "metric"])["value"]
    found = groups.agg(["count", "std", "min", "max"])
    found = found.rename(columns={"count": "trainings", "std": "deviation"})
    return found[found["trainings"] > 1]


def widened(sets: pd.DataFrame, spread: pd.DataFrame) -> pd.DataFrame:
    """Measures of sets, with limits that hold the values of all trainings, too."""
    keys = pd.MultiIndex.from_frame(sets[["mask", "method", "metric"]])
    ends = spread.reindex(keys)
    low, high = ends["min"].to_numpy(float), ends["max"].to_numpy(float)
    return sets.assign(low=np.fmin(sets["low"], low), high=np.fmax(sets["high"], high))


def means(
    further: pd.DataFrame, mask: str, method: str, faces: Collection[str], first: np.ndarray
) -> np.ndarray:
    """The mean measures over `faces` by every training, float [K, metrics].

    `first` are those of the first one, `further` is what `tables.gather_trainings` returns.
    """
    chosen = (further["mask"] == mask) & (further["method"] == method)
    part = further[chosen & further["face"].isin(faces)]
    by_training = part.groupby("training")[[n for n in further if n not in FACES]].mean()
    return np.vstack([first, by_training.to_numpy(float)]) if len(part) else first[None]


def limits_of_difference(one: np.ndarray, other: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """How many trainings differ, and the limits of the 95 % interval of their mean difference.

    `one` and `other` are what `means` returns: [K, metrics], [L, metrics]. They are paired by
    number, as trainings of one number share their seeds and their models; what has one training
    only counts with it each time. Student's t; the limits are NaN where neither has several.
    """
    count = max(len(one), len(other))
    if len(one) > 1 and len(other) > 1:
        count = min(len(one), len(other))
    if count < 2:
        none = np.full(one.shape[1], np.nan)
        return 1, none, none
    apart = one[:count] - other[:count]
    middle, error = apart.mean(0), apart.std(0, ddof=1) / count**0.5
    reach = t.ppf((1 + CONFIDENCE) / 2, count - 1) * error
    return count, middle - reach, middle + reach
