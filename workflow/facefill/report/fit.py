"""How fast the searches fit the known pixels: their loss against seconds, and who is first.

The loss is the unweighted contextual one, mean |M * (G - y)| over known pixels and channels in
units of [-1, 1], which is the same for every method, however it weighs the pixels. A low one alone
says little about the hole: a search can over-fit the known pixels.
"""

from collections.abc import Mapping

import pandas as pd

from facefill.report.tables import Pair
from facefill.report.timings import search_seconds

COLUMNS = ["mask", "method", "model", "first_seconds", "first", "last_seconds", "last"]
COLUMNS += ["other", "other_last", "reached"]


def fits_over_time(
    searches: Mapping[Pair, pd.DataFrame], jobs: pd.DataFrame
) -> dict[Pair, pd.DataFrame]:
    """Return the loss of every search over time: a row per instant, a column per face.

    `searches` are the unweighted losses of `tables.read_search`, `jobs` those of
    `timings.read_jobs`. The index is the seconds per face up to a step, in place of the step.
    Searches whose timing is missing, or notes no steps, are left out.
    """
    fits = {}
    for pair, by_step in search_seconds(jobs).items():
        if pair in searches:
            seconds = {step: by_step[step] for step in by_step if step in searches[pair].index}
            fits[pair] = searches[pair].loc[list(seconds)].set_axis(list(seconds.values()))
    return {pair: fits[pair] for pair in searches if pair in fits}


def fit_table(fits: Mapping[Pair, pd.DataFrame], models: Mapping[str, str]) -> pd.DataFrame:
    """Return COLUMNS with a row per pair of `fits_over_time`, in that order; `models` by method.

    `first` is the mean loss of the start, `last` that of the last iterate, with the seconds per
    face up to there. `other` is the method that searches longest, under the same mask and on the
    same model; `other_last` is its last loss, and `reached` are the seconds per face after which
    this method reaches that loss, NaN where it never does: means over the faces that both have.
    """
    rows = []
    for (mask, method), losses in fits.items():
        means = losses.mean(axis=1)
        rivals = {
            rival: of_rival
            for (of_mask, rival), of_rival in fits.items()
            if of_mask == mask and models[rival] == models[method] and rival != method
        }
        other, other_last, reached = "", float("nan"), float("nan")
        if rivals:
            other = max(rivals, key=lambda rival: rivals[rival].index[-1])
            shared = losses.columns.intersection(rivals[other].columns)
            other_last = rivals[other][shared].iloc[-1].mean()
            as_low = losses.index[losses[shared].mean(axis=1) <= other_last]
            reached = as_low[0] if len(as_low) else reached
        ends = (losses.index[0], means.iloc[0], losses.index[-1], means.iloc[-1])
        rows.append((mask, method, models[method], *ends, other, other_last, reached))
    return pd.DataFrame(rows, columns=COLUMNS)
