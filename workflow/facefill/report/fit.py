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
    """Return the loss of every search over time: a row per instant, a column per face.

    `searches` are by run the unweighted losses of `tables.read_search`, `jobs` those of
    `timings.read_jobs`. The index, in their place of the steps, are the seconds per face up to
    there. Runs whose timing is gone, or has no course, are left out.
    """
    found = {}
    for run, course in courses(jobs).items():
        if run in searches:
            seconds = {step: took for step, took in course if step in searches[run].index}
            found[run] = searches[run].loc[list(seconds)].set_axis(list(seconds.values()))
    return {run: found[run] for run in searches if run in found}


def fit_table(found: Mapping[Run, pd.DataFrame], models: Mapping[str, str]) -> pd.DataFrame:
    """Return COLUMNS with a row per run of `fit_courses`, in that order; `models` are by method.

    `first` is the mean loss of the start, `last` that of the last iterate, with the seconds per
    face up to there. `other` is the method that searches longest, under the same mask and on the
    same model; `other_last` is its last loss, and `reached` are the seconds per face after which
    this one has that one's loss, NaN where it never has: means over the faces that both completed.
    """
    rows = []
    for (mask, method), course in found.items():
        means = course.mean(axis=1)
        rivals = {
            rival: of_rival
            for (at, rival), of_rival in found.items()
            if at == mask and models[rival] == models[method] and rival != method
        }
        other, other_last, reached = "", float("nan"), float("nan")
        if rivals:
            other = max(rivals, key=lambda rival: rivals[rival].index[-1])
            shared = course.columns.intersection(rivals[other].columns)
            other_last = rivals[other][shared].iloc[-1].mean()
            there = course.index[course[shared].mean(axis=1) <= other_last]
            reached = there[0] if len(there) else reached
        ends = (course.index[0], means.iloc[0], course.index[-1], means.iloc[-1])
        rows.append((mask, method, models[method], *ends, other, other_last, reached))
    return pd.DataFrame(rows, columns=COLUMNS)
