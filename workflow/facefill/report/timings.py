"""How long the stages took, from the timings that their jobs left behind."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from facefill.core.errors import FacefillError
from facefill.report.tables import Pair

COLUMNS = [
    "stage", "name", "jobs", "seconds", "items", "unit", "items_per_second", "seconds_per_item",
]  # fmt: skip
TIMING = ["rule", "start", "end", "items", "unit"]  # keys that each job writes
# Stages whose single jobs are worth a row: models and methods are compared, shards are not.
BY_JOB = ("train", "complete")


def busy(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of `intervals` (start, end), in seconds.

    Parallel jobs count once, pauses between jobs not at all.
    """
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def read_jobs(files: Sequence[Path | str]) -> pd.DataFrame:
    """Return a row per job: rule, start, end, items, unit, course, seconds, name.

    Each of `files` is a JSON object with the first five, as every job writes one; files that do
    not exist are left out. `name` tells a job from the others of its rule, `course` are the steps
    that it noted, each with the seconds from the job's start, `seconds` what its items took.
    """
    jobs = [_read(Path(file)) for file in files if Path(file).is_file()]
    return pd.DataFrame(jobs, columns=[*TIMING, "course", "seconds", "name"])


def combine(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return COLUMNS with a row per stage (`name` empty), in the order in which the stages began.

    `jobs` are those of `read_jobs`. Rows of single jobs follow their stage's row where the
    stage trains or completes and had several. `seconds` is the time in which at least one of the
    stage's jobs was running, so items_per_second is that of all its processes together.
    """
    rows = []
    begun = jobs.groupby("rule")["start"].min().sort_values(kind="stable")
    for rule in begun.index:
        of_rule = jobs[jobs["rule"] == rule]
        rows.append(_row(rule, "", of_rule))
        if rule.startswith(BY_JOB) and len(of_rule) > 1:
            rows += [_row(rule, name, part) for name, part in of_rule.groupby("name")]
    return pd.DataFrame(rows, columns=COLUMNS)


def _completions(jobs: pd.DataFrame) -> dict[Pair, dict[str, Any]]:
    jobs = jobs[jobs["rule"].str.startswith("complete") & (jobs["items"] > 0)]
    return {tuple(job["name"].partition("/")[::2]): job for job in jobs.to_dict("records")}


def seconds_per_face(jobs: pd.DataFrame) -> dict[Pair, float]:
    """Return how long a face took by mask and method, for the completions among `jobs`.

    Where a job does not know how long its faces took, they are left out.
    """
    found = {pair: job["seconds"] / job["items"] for pair, job in _completions(jobs).items()}
    return {pair: seconds for pair, seconds in found.items() if not math.isnan(seconds)}


def search_seconds(jobs: pd.DataFrame) -> dict[Pair, dict[int, float]]:
    """Return by mask and method the steps of a search, and the seconds per face up to each."""
    return {
        pair: {step: took / job["items"] for step, took in job["course"]}
        for pair, job in _completions(jobs).items()
        if job["course"]
    }


def _read(file: Path) -> dict:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        timing = {key: facts[key] for key in TIMING}
        timing["course"] = [(int(step), float(took)) for step, took in facts.get("course", [])]
        took = facts.get("seconds")
        timing["seconds"] = facts["end"] - facts["start"] if took is None else float(took)
    except (ValueError, KeyError, TypeError) as error:
        raise FacefillError(f"{file}: not a timing of a job; delete it and run again") from error
    return {**timing, "name": _job_name(file, timing["rule"])}


def _job_name(file: Path, rule: str) -> str:
    """What tells a job from others of its rule: its path below the folder named like the rule."""
    parts = [*file.parts[:-1], file.name.split(".")[0]]
    below = parts[::-1].index(rule) if rule in parts else 1
    return "/".join(parts[len(parts) - below :])


def _row(rule: str, name: str, jobs: pd.DataFrame) -> dict:
    seconds = busy(zip(jobs["start"], jobs["end"], strict=True))
    items = int(jobs["items"].sum())
    return {
        "stage": rule,
        "name": name,
        "jobs": len(jobs),
        "seconds": round(seconds, 3),
        "items": items,
        "unit": next((unit for unit in jobs["unit"] if unit), ""),
        "items_per_second": round(items / seconds, 3) if seconds and items else None,
        "seconds_per_item": round(seconds / items, 6) if items else None,
    }
