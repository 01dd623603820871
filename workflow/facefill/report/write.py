"""The whole report in one call."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from facefill.errors import FacefillError
from facefill.files import atomic, read_table, write_table
from facefill.masks import make_mask
from facefill.measure import FLOAT_FORMAT, SET_FLOAT_FORMAT
from facefill.report import page, pictures, plots
from facefill.report.pictures import Completions
from facefill.report.provenance import provenance
from facefill.report.tables import Run, gather, gather_sets, summarise
from facefill.report.timings import combine
from facefill.split import read_split

log = logging.getLogger(__name__)

GRID_FACES = 12
EXAMPLES = 6
STEP_FACES = 8


class _Named:
    @classmethod
    def of(cls, named: Any):
        """Take the fields of this class from the attributes of `named` (others are ignored)."""
        return cls(**{field.name: getattr(named, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Sources(_Named):
    """Files that the report reads. Lists are in the order of Choice.runs, .iterative, .models."""

    metrics: Sequence[str]  # of runs: a row per face
    set_metrics: Sequence[str]  # of runs
    completions: Sequence[str]  # of runs: folders of {face}.png
    progress: Sequence[str]  # of iterative: GIFs of the search
    histories: Sequence[str]  # of models, as the next five
    losses: Sequence[str]
    samples: Sequence[str]
    samples_gif: Sequence[str]
    settings: Sequence[str]
    weights: Sequence[str]
    manifest: str
    faces_sheet: str
    train_csv: str
    val_csv: str
    test_csv: str
    train_npy: str
    val_npy: str
    test_npy: str
    template: str  # Jinja2


@dataclass(frozen=True)
class Products(_Named):
    """Files that the report writes."""

    metrics: str
    summary: str
    set_metrics: str
    completion: str  # GIF
    masks: str  # PNG, as the next four
    best: str
    median: str
    worst: str
    metrics_png: str
    timings: str
    timings_png: str
    provenance: str  # JSON
    index: str  # HTML


@dataclass(frozen=True)
class Choice(_Named):
    """What the report is about."""

    dataset: str
    runs: Sequence[Run]  # pairs of mask and method
    iterative: Sequence[Run]  # those of them that search
    models: Sequence[str]
    masks: dict[str, dict[str, Any]]  # settings of every mask
    config: dict[str, Any]  # for the provenance, and alignment for the page
    timings: Sequence[str]  # JSON of the jobs; those that exist are read


def write_report(sources: Sources, products: Products, choice: Choice) -> int:
    """Write all of `products`; return the number of completions that the report holds.

    Raises FacefillError when an input is damaged, or when the methods of one mask were not
    measured on the same faces.
    """
    runs = [tuple(run) for run in choice.runs]
    metrics = gather(sources.metrics, runs)
    summary = summarise(metrics, runs)
    sets = gather_sets(sources.set_metrics, runs)
    write_table(products.metrics, metrics, FLOAT_FORMAT)
    write_table(products.summary, summary, FLOAT_FORMAT)
    write_table(products.set_metrics, sets, SET_FLOAT_FORMAT)

    compared = _compared(sources, choice, runs, metrics)
    _write_pictures(sources, products, choice, runs, metrics, compared)
    timings = combine(choice.timings)
    write_table(products.timings, timings)
    plots.write_timings(products.timings_png, timings)

    columns = ["face", "identity", "source"]
    splits = {
        name: read_table(file, columns, text=columns)
        for name, file in {
            "train": sources.train_csv,
            "val": sources.val_csv,
            "test": sources.test_csv,
        }.items()
    }
    columns = ["source", "identity", "status", "detail", "face"]
    manifest = read_table(sources.manifest, columns, text=columns)
    settings = [_read_settings(Path(file)) for file in sources.settings]
    facts = provenance(
        choice.dataset,
        choice.config,
        _checked_files(sources, products),
        {
            model: str(values.get("device", "unknown"))
            for model, values in zip(choice.models, settings, strict=True)
        },
        {
            "photos": {str(k): int(v) for k, v in manifest["status"].value_counts().items()},
            "faces": {name: len(table) for name, table in splits.items()},
            "people": {name: table["identity"].nunique() for name, table in splits.items()},
            "completions": len(metrics),
        },
    )
    with atomic(products.provenance) as partial:
        partial.write_text(json.dumps(facts, indent=2, sort_keys=True, default=str) + "\n")

    people = splits["test"].set_index("face")["identity"]
    measured = sorted(metrics["face"].unique())
    page.write_page(
        products.index,
        sources.template,
        {
            "dataset": choice.dataset,
            "size": len(compared[0].known),
            "align": choice.config.get("align", {}),
            "faces": page.number(len(measured), 0),
            "people": page.number(people.reindex(measured).nunique(), 0),
            "shown": page.SHOWN,
            "masks": [
                {
                    "name": item.mask,
                    "hidden": f"{100 * (~item.known).mean():.0f}",
                    "rows": page.summary_rows(summary, sets, item.mask),
                    "grid": page.grid_groups(item.rows(_some(list(item.originals), GRID_FACES))),
                }
                for item in compared
            ],
            "first_method": runs[0][1],
            "pictures": {
                name: page.picture(getattr(products, name))
                for name in ("completion", "masks", "best", "median", "worst", "metrics_png",
                             "timings_png")
            },
            "iterative": list(choice.iterative),
            "models": [
                page.model_view(*files, values)
                for *files, values in zip(
                    choice.models, sources.histories, sources.losses, sources.samples,
                    sources.samples_gif, settings, strict=True,
                )
            ],
            "data": page.data_view(manifest, splits),
            "faces_sheet": page.picture(sources.faces_sheet),
            "timings": page.timing_rows(timings),
            "facts": facts,
            "config": yaml.safe_dump(choice.config, sort_keys=False, allow_unicode=True),
        },
    )  # fmt: skip
    log.info("%s: %.1f MB", products.index, Path(products.index).stat().st_size / 1e6)
    return len(metrics)


def _compared(
    sources: Sources, choice: Choice, runs: list[Run], metrics: pd.DataFrame
) -> list[Completions]:
    """One Completions per mask, with the originals of the faces that were measured."""
    names, originals = read_split(sources.test_npy, sources.test_csv)
    rows = {name: row for row, name in enumerate(names)}
    folders = dict(zip(runs, map(Path, sources.completions), strict=True))
    compared = []
    for mask in page.masks_of(runs):
        faces = sorted(metrics.loc[metrics["mask"] == mask, "face"].unique())
        if unknown := [face for face in faces if face not in rows]:
            raise FacefillError(
                f"mask {mask}: face {unknown[0]!r} was measured, but is not in "
                f"{sources.test_csv}; delete the mask's completions and run again"
            )
        compared.append(
            Completions(
                mask,
                make_mask(choice.masks[mask], originals.shape[1]),
                {method: folder for (name, method), folder in folders.items() if name == mask},
                {face: np.asarray(originals[rows[face]]) for face in faces},
            )
        )
    return compared


def _write_pictures(
    sources: Sources,
    products: Products,
    choice: Choice,
    runs: list[Run],
    metrics: pd.DataFrame,
    compared: list[Completions],
) -> None:
    for kind in ("best", "median", "worst"):
        blocks = []
        for item in compared:
            method = next(iter(item.folders))
            faces = ranked(metrics, item.mask, method, kind, EXAMPLES)
            title = f"mask {item.mask}: {kind} {len(faces)} of {len(item.originals)} by {method}"
            blocks.append((title, item.rows(faces)))
        pictures.write_examples(getattr(products, kind), blocks)

    first = compared[0]
    face = first.originals[next(iter(first.originals))]
    pictures.write_masks(products.masks, face, {item.mask: item.known for item in compared})
    plots.write_metrics(products.metrics_png, metrics, runs)

    searches = dict(zip(map(tuple, choice.iterative), map(Path, sources.progress), strict=True))
    if searches:
        # One mask tells the story; the GIFs of the others lie beside their completions.
        mask = next(iter(searches))[0]
        gifs = {
            f"{name}, {method}": gif for (name, method), gif in searches.items() if name == mask
        }
        pictures.write_search(products.completion, gifs)
    else:
        faces = _some(list(first.originals), STEP_FACES)
        pictures.write_steps(products.completion, f"mask {first.mask}", first.rows(faces))


def ranked(metrics: pd.DataFrame, mask: str, method: str, kind: str, count: int) -> list[str]:
    """Return the `count` faces at which `method` did "best", "median" (those around it) or "worst".

    By PSNR of the hole, best first ("worst": worst first); by PSNR of the face where nothing is
    hidden.
    """
    part = metrics[(metrics["mask"] == mask) & (metrics["method"] == method)]
    key = "hole_psnr" if part["hole_psnr"].notna().any() else "psnr"
    faces = part.sort_values([key, "face"], ascending=[False, True])["face"].tolist()
    count = min(count, len(faces))
    start = {"best": 0, "median": (len(faces) - count) // 2, "worst": len(faces) - count}[kind]
    chosen = faces[start : start + count]
    return chosen[::-1] if kind == "worst" else chosen


def _some(faces: list[str], count: int) -> list[str]:
    """At most `count` faces, evenly spaced: not chosen by how well they went."""
    places = np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int)
    return [faces[place] for place in places]


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FacefillError(
            f"{path}: not a model's settings; delete its folder and run again"
        ) from error


def _checked_files(sources: Sources, products: Products) -> list[str]:
    """What the provenance has checksums of: all that was read, and written so far."""
    read = [getattr(sources, field.name) for field in fields(sources) if field.name != "template"]
    paths = [path for value in read for path in ([value] if isinstance(value, str) else value)]
    written = [getattr(products, field.name) for field in fields(products)]
    later = (products.provenance, products.index)
    return [*paths, *(path for path in written if path not in later)]
