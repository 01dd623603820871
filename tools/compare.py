"""Two finished builds side by side: what differs in them, and their measures on common faces.

    python tools/compare.py results/lfw elsewhere/results/lfw

Writes compare.md and compare.html, one self-contained file, into the current folder (or --out).
Faces are matched by what they show, not by name: the same aligned face, or the same photo.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

import pandas as pd
import yaml

from facefill.core.errors import FacefillError
from facefill.core.files import read_json, read_table, sha256_text
from facefill.metrics import Metric, face_metrics, set_metrics
from facefill.report.page import write_page
from facefill.report.tables import SETS, bootstrap, differences, summarise

HERE = Path(__file__).resolve().parent
NEEDED = ["index.csv", "manifest.csv"]
NEEDED += [f"splits/{split}.csv" for split in ("train", "val", "test")]
NEEDED += [f"report/{name}" for name in ("provenance.json", "metrics.csv", "set_metrics.csv")]
PLACE = ["mask", "method"]
ABSENT = "–"
FACTS = ("python", "platform", "processor", "cores")  # of the provenance, beside packages
FILES_SHOWN = 100

Pair = tuple[str, str]  # a mask's name, a method's name
Row = list[str]


@dataclass(frozen=True)
class Build:
    """A finished build: the folder results/{dataset}. Raises FacefillError where it is none."""

    folder: Path

    def __post_init__(self):
        there = [(self.folder / name).is_file() for name in NEEDED]
        if not any(there):
            raise FacefillError(
                f"{self.folder}: no build of facefill; give a folder results/{{dataset}}"
            )
        if not all(there):
            missing = NEEDED[there.index(False)]
            raise FacefillError(
                f"{self.folder}: not finished ({missing} is missing); run snakemake there first"
            )

    def table(self, name: str, columns: Iterable[str], text: Iterable[str]) -> pd.DataFrame:
        return read_table(self.folder / name, columns, text)

    @cached_property
    def facts(self) -> dict[str, Any]:
        return read_json(
            self.folder / "report/provenance.json",
            "not a report's provenance; delete it and run again",
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.facts.get("config", {})

    @cached_property
    def photos(self) -> dict[str, str]:
        """The sha256 of the photos that could be read, by their source."""
        columns = ["source", "sha256"]
        table = self.table("index.csv", columns, columns)
        return {source: digest for source, digest in table[columns].to_numpy() if digest}

    @cached_property
    def manifest(self) -> pd.DataFrame:
        columns = ["source", "status", "face", "sha256"]
        return self.table("manifest.csv", columns, columns)

    @cached_property
    def faces(self) -> dict[str, tuple[str, str]]:
        """The sha256 of every aligned face and of its photo, by the face's name."""
        rows = self.manifest[self.manifest["face"] != ""][["face", "sha256", "source"]].to_numpy()
        return {face: (digest, self.photos.get(source, "")) for face, digest, source in rows}

    def split(self, name: str) -> pd.DataFrame:
        return self.table(f"splits/{name}.csv", ["face", "identity"], ["face", "identity"])

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every face's measures, also those that this version of facefill does not know."""
        names, file = [*PLACE, "face"], "report/metrics.csv"
        table = self.table(file, names, names)
        try:
            return table[names].join(table.drop(columns=names).apply(pd.to_numeric))
        except ValueError as error:
            raise FacefillError(
                f"{self.folder / file}: not a number ({error}); delete it and run again"
            ) from error

    @cached_property
    def pairs(self) -> list[Pair]:
        """The masks and methods in the order of the configuration."""
        found = set(self.metrics[PLACE].itertuples(index=False, name=None))
        compare = self.config.get("compare", {})
        orders = [list(compare.get(key, [])) for key in ("masks", "methods")]

        def place(pair: Pair) -> list[tuple[int, str]]:
            known = zip(orders, pair, strict=True)
            return [(order.index(n) if n in order else len(order), n) for order, n in known]

        return sorted(found, key=place)


def compare(a: Build, b: Build) -> dict[str, Any]:
    """Return what the templates need. Raises FacefillError where no measured face is in both."""
    matched = match(a, b)
    shared = [pair for pair in a.pairs if pair in b.pairs]
    known = face_metrics()
    measured = [set(build.metrics) - {*PLACE, "face"} for build in (a, b)]
    metrics = {name: known[name] for name in known if name in measured[0] & measured[1]}
    changed = config_differences(a.config, b.config)
    return {
        "folders": [str(build.folder) for build in (a, b)],
        "builds": [_build(build) for build in (a, b)],
        "matched": len(matched),
        "aligned_alike": sum(a.faces[face][0] == b.faces[other][0] for face, other in matched),
        "metrics": list(metrics.values()),
        "masks": _measures(a, b, matched, shared, metrics, changed),
        "only": _only(a, b, measured),
        "unknown": sorted((measured[0] & measured[1]) - known.keys()),
        "sets": _sets(a, b, shared),
        "config": changed,
        "data": _data(a, b),
        "versions": _versions(a, b),
        "files": _files(a, b),
    }


def match(a: Build, b: Build) -> list[tuple[str, str]]:
    """The measured faces that are in both builds, by their names in each; sorted by that in `a`.

    The same are equal aligned faces, and faces of equal photos that were aligned otherwise.
    """
    names = [sorted(set(build.metrics["face"])) for build in (a, b)]
    for build, measured in zip((a, b), names, strict=True):
        if strangers := [face for face in measured if face not in build.faces]:
            raise FacefillError(
                f"{build.folder}: the face {strangers[0]!r} of report/metrics.csv is not in "
                "manifest.csv; run snakemake there first"
            )
    found: dict[str, str] = {}
    for digest in (0, 1):  # of the aligned face, then of the photo
        taken = set(found.values())
        free = [face for face in names[1] if face not in taken]
        by_digest = {b.faces[face][digest]: face for face in reversed(free)}
        for face in names[0]:
            content = a.faces[face][digest]
            if content and face not in found and content in by_digest:
                found[face] = by_digest.pop(content)
    if not found:
        raise FacefillError(
            f"{a.folder} and {b.folder} have no measured face in common, by photo or by aligned "
            f"face ({len(names[0])} and {len(names[1])} faces); compare builds of the same photos"
        )
    return sorted(found.items())


def _measures(
    a: Build,
    b: Build,
    matched: list[tuple[str, str]],
    shared: list[Pair],
    metrics: dict[str, Metric],
    changed: list[Row],
) -> dict[str, list[dict[str, Any]]]:
    """By mask a row per method: how many faces, what was set otherwise, a cell per measure."""
    identities = a.split("test").set_index("face")["identity"].to_dict()
    own = dict(matched)
    ours = a.metrics[a.metrics["face"].isin(own)]
    theirs = b.metrics[b.metrics["face"].isin(own.values())]
    theirs = theirs.assign(face=theirs["face"].map({other: face for face, other in matched}))
    key = [*PLACE, "face"]
    both = ours[[*key, *metrics]].merge(theirs[[*key, *metrics]], on=key, suffixes=("_a", "_b"))
    halves = []
    for half in "ab":
        part = both[key].assign(method=half, mask=both["mask"] + "\n" + both["method"])
        for name in metrics:  # a pair counts where both have a value
            values = both[f"{name}_{half}"].where(
                both[[f"{name}_a", f"{name}_b"]].notna().all(axis=1)
            )
            part[name] = values
        halves.append(part)
    table = pd.concat(halves, ignore_index=True)
    every = bootstrap(table, list(table[PLACE].itertuples(index=False, name=None)), identities)
    means = summarise(every).set_index(PLACE) if len(table) else None
    steps = differences(every)
    steps = steps[steps["method"] == "b"].set_index(["mask", "metric"])
    by_mask: dict[str, list[dict[str, Any]]] = {}
    for mask, method in shared:
        place = f"{mask}\n{method}"
        count = int((table["mask"] == place).sum()) // 2
        cells = [
            _cell(
                steps.loc[(place, name)], *(means.at[(place, half), name] for half in "ab"), metric
            )
            for name, metric in metrics.items()
            if count
        ]
        row = {"method": method, "faces": count, "cells": cells}
        row["changed"] = _concerned(mask, method, a.config, changed)
        by_mask.setdefault(mask, []).append(row)
    return by_mask


def _cell(step: pd.Series, first: float, second: float, metric: Metric) -> dict[str, str]:
    """The mean difference, its interval, both means, and which build is better."""
    if pd.isna(step["difference"]):
        return {"difference": ABSENT, "interval": "", "means": "", "better": ""}
    form = f".{metric.decimals}f"
    if (step[["difference", "low", "high"]] == 0).all():
        mean = f"{metric.factor * first:{form}}"
        return {"difference": "equal", "interval": "", "means": mean, "better": ""}
    values = [metric.factor * step[name] for name in ("difference", "low", "high")]
    difference, low, high = (f"{value:+{form}}" for value in values)
    return {
        "difference": difference,
        "interval": "" if pd.isna(step["low"]) else f"[{low}, {high}]",
        "means": f"{metric.factor * first:{form}} → {metric.factor * second:{form}}",
        "better": step["better"].upper(),
    }


def _concerned(mask: str, method: str, config: dict[str, Any], changed: list[Row]) -> str:
    """What is behind a completion and set otherwise: alignment, mask, method, trainings."""
    values = [value for value in config["methods"][method].values() if isinstance(value, str)]
    models = [f"models.{name}" for name in config.get("models", {}) if name in values]
    places = ["align", f"masks.{mask}", f"methods.{method}", *models]
    places += ["split", "seed"] if models else []
    keys = [key for key, _, _ in changed]
    return ", ".join(
        place
        for place in places
        if any(key == place or key.startswith(f"{place}.") for key in keys)
    )


def _only(a: Build, b: Build, measured: list[set[str]]) -> list[Row]:
    """What only one build has: masks, methods, both together, measures."""
    sides = [
        {
            "masks": {mask for mask, _ in build.pairs},
            "methods": {method for _, method in build.pairs},
            "measures": names,
        }
        for build, names in zip((a, b), measured, strict=True)
    ]
    for one, other, build in zip(sides, sides[::-1], (a, b), strict=True):
        one["methods under a mask"] = {
            f"{method} under {mask}"
            for mask, method in build.pairs
            if mask in other["masks"] and method in other["methods"]
        }
    rows = [[what, *_one_sided(sides[0][what], sides[1][what])] for what in sides[0]]
    return [row for row in rows if row[1] or row[2]]


def _one_sided(first: set[str], second: set[str]) -> Row:
    return [", ".join(sorted(one - other)) for one, other in ((first, second), (second, first))]


def _sets(a: Build, b: Build, shared: list[Pair]) -> list[Row]:
    """The measures of whole sets in both, with N; each build's own faces."""
    sides = []
    for build in (a, b):
        table = build.table("report/set_metrics.csv", [*PLACE, *SETS], [*PLACE, "metric"])
        sides.append(table.set_index([*PLACE, "metric"])[["value", "faces"]].T.to_dict())
    rows = []
    for mask, method in shared:
        for name, metric in set_metrics("completions", "samples").items():
            place = (mask, method, name)
            if all(place in side for side in sides):
                values = [
                    f"{metric.factor * side[place]['value']:.{metric.decimals}f} "
                    f"(N {side[place]['faces']:.0f})"
                    for side in sides
                ]
                rows.append([mask, method, f"{metric.heading}, {metric.remark}", *values])
    return rows


def config_differences(first: Any, second: Any, key: str = "") -> list[Row]:
    """Key and both values as YAML, where two configurations differ; an entry of one is one row."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = [*first, *(name for name in second if name not in first)]
        return [
            row
            for name in sorted(keys)
            for row in config_differences(
                first.get(name, ABSENT), second.get(name, ABSENT), f"{key}.{name}" if key else name
            )
        ]
    return [] if first == second else [[key, _plain(first), _plain(second)]]


def _plain(value: Any) -> str:
    if value == ABSENT:
        return ABSENT
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _build(build: Build) -> dict[str, str]:
    """When and by which code a build was made."""
    facts = build.facts
    return {
        "created": str(facts.get("created", ABSENT)),
        "commit": facts.get("commit") or "unknown: the code was not in a git repository",
        "changed": _listed(facts.get("changed_files")),
        "measured": str(build.metrics["face"].nunique()),
    }


def _listed(files: list[str] | None) -> str:
    return "unknown" if files is None else ", ".join(files) or "none"


def _data(a: Build, b: Build) -> list[Row]:
    """What of the data: in each build how many and their digest, and how many are in both."""
    sides = []
    for build in (a, b):
        splits = {name: build.split(name) for name in ("train", "val", "test")}
        side = {"photos": (set(build.photos.values()), f"{len(build.photos):,}")}
        aligned = {digest for digest, _ in build.faces.values()}
        side["aligned faces"] = (aligned, f"{len(build.faces):,}")
        for name, table in splits.items():
            people = table["identity"].nunique()
            content = {build.faces[face][1] for face in table["face"] if face in build.faces}
            side[f"photos for {name}"] = (content, f"{len(table):,} of {people:,} people")
        counts = build.manifest["status"].value_counts()
        side |= {
            f"photos set aside: {status}": (None, f"{count:,}")
            for status, count in counts.items()
            if status != "aligned"
        }
        sides.append(side)
    rows = []
    for what in dict.fromkeys([*sides[0], *sides[1]]):
        (first, shown), (second, other) = (side.get(what, (None, "0")) for side in sides)
        if first is None or second is None:
            rows.append([what, shown, other, "", ""])
        else:
            digests = [_digest(first), _digest(second)]
            told = digests[0] if first == second else " / ".join(digests)
            rows.append([what, shown, other, f"{len(first & second):,}", told])
    return rows


def _digest(contents: set[str]) -> str:
    return sha256_text("\n".join(sorted(contents)))[:12]


def _versions(a: Build, b: Build) -> list[Row]:
    """Versions, machine and devices that differ."""
    sides = []
    for build in (a, b):
        facts = build.facts
        side = {name: facts.get(name) for name in FACTS} | facts.get("packages", {})
        side |= {f"device of {name}": text for name, text in facts.get("devices", {}).items()}
        sides.append({name: str(value) for name, value in side.items() if value is not None})
    names = dict.fromkeys([*sides[0], *sides[1]])
    rows = [[name, *(side.get(name, ABSENT) for side in sides)] for name in names]
    return [row for row in rows if row[1] != row[2]]


def _files(a: Build, b: Build) -> dict[str, Any]:
    """Which of the files that both reports are made of hold the same bytes."""
    sides = [dict(_own_files(build)) for build in (a, b)]
    both = [name for name in sides[0] if name in sides[1]]
    differ = [name for name in both if sides[0][name] != sides[1][name]]
    more = len(differ) - FILES_SHOWN
    return {"both": len(both), "differ": differ[:FILES_SHOWN], "more": max(0, more)}


def _own_files(build: Build) -> Iterator[tuple[str, str]]:
    """The checksums in the provenance by path below results/{dataset}."""
    top = f"results/{build.facts.get('dataset')}/"
    for path, digest in build.facts.get("sha256", {}).items():
        if path.startswith(top):
            yield path.removeprefix(top), digest


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("a", metavar="A", type=Path, help="results/{dataset} of a finished build")
    parser.add_argument("b", metavar="B", type=Path, help="that of another one")
    parser.add_argument("--out", type=Path, default=Path(), help="where compare.* are written")
    given = parser.parse_args(arguments)
    try:
        context = compare(Build(given.a), Build(given.b))
        for kind in ("md", "html"):
            file = given.out / f"compare.{kind}"
            write_page(file, HERE / f"compare.{kind}.j2", context, escape=kind == "html")
            print(f"facefill: {file} written")
    except FacefillError as error:
        sys.exit(f"facefill: {error}")
    except OSError as error:
        sys.exit(
            f"facefill: {error.filename}: {error.strerror}; give yourself the right to it, or "
            "another place by --out"
        )


if __name__ == "__main__":
    main()
