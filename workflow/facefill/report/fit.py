"""How fast the searches come to fit the known pixels: their loss against seconds, and who is first.

The loss is the unweighted contextual one, mean |M * (G - y)| over known pixels and channels in
units of [-1, 1], which is the same for every method, however it weighs the pixels. A low one alone
says little about the hole: a search can over-fit what it sees.
"""

from collections.abc import Mapping

import pandas as pd

from facefill.report.tables import Run
from facefill.report.timings import courses

COLUMNS = ["mask", "method", "model", "first_seconds", "first", "last_seconds", "last"]
COLUMNS += ["other", "other_last", "reached"]


def fit_courses(
    searches: Mapping[Run, pd.DataFrame], jobs: pd.DataFrame
) -> dict[Run, pd.DataFrame]:
    """Return the loss of every search over time: step, seconds (per face) and unweighted.

    `searches` are by run those of `tables.mean_search`, `jobs` those of `timings.read_jobs`. Runs
    whose timing is gone, or has no course, are left out.
    """
    seconds = courses(jobs)
    return {
        run: pd.DataFrame(seconds[run], columns=["step", "seconds"]).merge(
            losses["unweighted"], on="step"
        )
        for run, losses in searches.items()
        if run in seconds
    }


def fit_table(found: Mapping[Run, pd.DataFrame], models: Mapping[str, str]) -> pd.DataFrame:
    """Return COLUMNS with a row per run of `fit_courses`, in that order; `models` are by method.

    `first` is the loss of the start, `last` that of the last iterate, with the seconds per face up
    to there. `other` is the method that searches longest, under the same mask and on the same
    model; `reached` are the seconds per face after which this one has that one's last loss, NaN
    where it never has.
    """
    rows = []
    for (mask, method), course in found.items():
        start, end = course.iloc[0], course.iloc[-1]
        rivals = {
            rival: of_rival
            for (at, rival), of_rival in found.items()
            if at == mask and models[rival] == models[method] and rival != method
        }
        other, other_last, reached = "", float("nan"), float("nan")
        if rivals:
            other = max(rivals, key=lambda rival: rivals[rival]["seconds"].iloc[-1])
            other_last = rivals[other]["unweighted"].iloc[-1]
            there = course.loc[course["unweighted"] <= other_last, "seconds"]
            reached = there.iloc[0] if len(there) else reached
        ends = (start["seconds"], start["unweighted"], end["seconds"], end["unweighted"])
        rows.append((mask, method, models[method], *ends, other, other_last, reached))
    return pd.DataFrame(rows, columns=COLUMNS)
