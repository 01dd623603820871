"""The stage bundle: networks, settings, checksums and a card, in one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from facefill.bundle import SETTINGS, WEIGHTS, of_model
from facefill.bundle.halve import Trial, as_text, halve
from facefill.bundle.seen import PHOTOS, photos_of, photos_seen
from facefill.bundle.write import write_bundle
from facefill.core.files import read_table
from facefill.core.images import png_bytes
from facefill.kinds import kind_of
from facefill.metrics import face_metrics
from facefill.models.gaussian.fitting import mean_face
from facefill.split import SPLITS, read_split

SMALL = 1_000_000  # bytes that a GIF may have
# What a kind of model must provide for its samples to show nobody: those of the others are
# completions of people of the validation split.
SHOWS_NOBODY = ("generator", "normal")
DATA = """
This licence covers the part of facefill and of whoever trained these networks. It says nothing of
the photos that they were trained on: CARD.md says where those come from, as far as is known.
"""


def make_bundle(
    bundle: Path | str,
    *,
    models: Mapping[str, Path],
    trial: Trial,
    facts: Mapping[str, Any],
    splits: Mapping[str, Path | str],
    train_npy: Path | str,
    index: Path | str,
    starts: Sequence[Path | str],
    summary: Path | str,
    template: Path | str,
    licence: Path | str,
) -> int:
    """Write the bundle of some models; return how many there are.

    `models` are their folders by name, those that others name first; `trial` decides which become
    half precision. `facts` are of `bundle.json` what the configuration says: `facefill`,
    `dataset`, `data`, `align` and `methods`. `splits` are the tables of all splits, `index` says
    the photos' checksums, `starts` are the bundles that trainings began with, `summary` is the
    report's; `template` is that of the card, `licence`
    facefill's. Raises FacefillError when one of them is damaged.
    """
    files, halving = halve({name: _pair(folder) for name, folder in models.items()}, trial)
    tables = {name: read_table(splits[name], COLUMNS, text=COLUMNS) for name in SPLITS}
    contents = {
        **facts,
        "splits": {
            name: {"faces": len(table), "people": table["identity"].nunique()}
            for name, table in tables.items()
        },
        "models": {name: settings for name, (_, settings) in files.items()},
        "halving": halving,
    }
    members: dict[str, bytes] = {}
    for name, (weights, settings) in files.items():
        folder = models[name]
        members[of_model(name, WEIGHTS)] = weights
        members[of_model(name, SETTINGS)] = as_text(settings).encode()
        shown = ["history.csv", "losses.png"]
        if kind_of("models", settings).provides in SHOWS_NOBODY:
            small = (folder / "samples.gif").stat().st_size <= SMALL
            shown += ["samples.png", *(["samples.gif"] if small else [])]
        members |= {of_model(name, file): (folder / file).read_bytes() for file in shown}
    _, faces = read_split(train_npy, splits["train"])
    members["mean.png"] = png_bytes(mean_face(faces, flips=False).round().astype(np.uint8))
    members[PHOTOS] = _photos(index, tables, starts)
    members["LICENSE"] = Path(licence).read_bytes() + DATA.encode()
    members["CARD.md"] = _card(template, contents, members, summary)
    write_bundle(bundle, contents, members)
    return len(models)


COLUMNS = ["face", "identity", "source"]


def _pair(folder: Path) -> tuple[Path, Path]:
    return folder / WEIGHTS, folder / SETTINGS


def _photos(
    index: Path | str, tables: Mapping[str, pd.DataFrame], starts: Sequence[Path | str]
) -> bytes:
    """The SHA-256 of the photos in training and validation, sorted, one a line.

    Those of the bundles that the trainings began with are among them.
    """
    sources = {source for split in ("train", "val") for source in tables[split]["source"]}
    seen = photos_of(index, sources).union(*map(photos_seen, starts))
    return "".join(f"{line}\n" for line in sorted(seen)).encode()


def _card(
    template: Path | str,
    contents: Mapping[str, Any],
    members: Mapping[str, bytes],
    summary: Path | str,
) -> bytes:
    """The model card: Markdown from the `template`."""
    metrics = face_metrics("published")
    columns = [column for name in metrics for column in (name, f"{name}_low", f"{name}_high")]
    names = ["mask", "method"]
    means = read_table(summary, [*names, "faces", *columns], text=names)
    means = means[means["method"].isin(contents["methods"])]
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(Path(template).read_text(encoding="utf-8")).render(
        contents,
        remarks=[f"{metric.heading}, {metric.remark}" for metric in metrics.values()],
        masks={
            mask: [_row(row) for row in rows.to_dict("records")]
            for mask, rows in means.groupby("mask", sort=False)
        },
        megabytes={
            name: f"{len(members[of_model(name, WEIGHTS)]) / 1e6:.1f}"
            for name in contents["models"]
        },
    )
    return text.encode("utf-8", errors="backslashreplace")


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A method under one mask: how many faces, and of each measure the mean with its interval."""
    cells = []
    for name, metric in face_metrics("published").items():
        value, low, high = (
            f"{metric.factor * row[key]:.{metric.decimals}f}"
            for key in (name, f"{name}_low", f"{name}_high")
        )
        cells.append("–" if pd.isna(row[name]) else f"{value} [{low}, {high}]")
    return {"method": row["method"], "faces": row["faces"], "cells": cells}
