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

from facefill.complete import read_samples
from facefill.core.errors import FacefillError
from facefill.core.files import atomic, read_table, write_table
from facefill.core.likeness import SET_FLOAT_FORMAT
from facefill.core.masking import make_masks
from facefill.metrics import FLOAT_FORMAT
from facefill.report import embed, page, pictures, plots, tables
from facefill.report.fit import fit_courses, fit_table
from facefill.report.pictures import Completions
from facefill.report.provenance import provenance
from facefill.report.tables import Run
from facefill.report.timings import combine, read_jobs, seconds_per_face
from facefill.split import read_split

log = logging.getLogger(__name__)

EXAMPLES = 6  # best, median and worst faces of every mask
STEP_FACES = 8
# Of the page's grids, all faces together: keeps the page below 15 megabytes at any size.
PAGE_PIXELS = 6_000_000
PAGE_UNITS = 5  # two parts of them are typical faces, one part each the KINDS
KINDS = ("best", "median", "worst")
GIVEN = ("original", "masked")  # on the page without loss
SPLIT = ["face", "identity", "source"]
MANIFEST = ["source", "identity", "status", "detail", "face"]


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
    search: Sequence[str]  # of iterative: losses by face and step
    completion_samples: Sequence[str]  # of iterative: uint8 [N, K, size, size, 3]
    histories: Sequence[str]  # of models, as the next five
    losses: Sequence[str]
    samples: Sequence[str]
    samples_gif: Sequence[str]
    settings: Sequence[str]
    weights: Sequence[str]
    model_metrics: Sequence[str]  # of Choice.measured_models
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
    differences: str
    set_metrics: str
    model_metrics: str
    completion: str  # GIF
    masks: str  # PNG, as the next six
    best: str
    median: str
    worst: str
    samples_png: str
    search_png: str
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
    measured_models: Sequence[str]  # those of them that make samples
    searched_models: dict[str, str]  # by method, the model that it searches
    limits: dict[str, int]  # how many faces a method completes at most
    masks: dict[str, dict[str, Any]]  # settings of every mask
    zoom: float  # of the alignment
    config: dict[str, Any]  # for the provenance, and alignment for the page
    timings: Sequence[str]  # JSON of the jobs; those that exist are read


@dataclass(frozen=True)
class _Numbers:
    """The tables of the report."""

    metrics: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    sets: pd.DataFrame
    models: pd.DataFrame  # set metrics of models
    timings: pd.DataFrame
    seconds: dict[Run, float]  # per face, of the runs that left their timing
    searches: dict[Run, dict[str, pd.DataFrame]]  # their losses by step and face
    courses: dict[Run, pd.DataFrame]  # of those that left their timing, the loss over time
    fits: pd.DataFrame


def write_report(sources: Sources, products: Products, choice: Choice) -> int:
    """Write all of `products`; return the number of completions that the report holds.

    Raises FacefillError when an input is damaged, or when the methods of one mask were not
    measured on the same faces.
    """
    runs = [tuple(run) for run in choice.runs]
    numbers = _write_tables(sources, products, choice, runs)
    compared = _compared(sources, choice, runs, numbers.metrics)
    samples = _samples(sources, choice, numbers.metrics, compared)
    _write_pictures(sources, products, choice, numbers.metrics, compared, samples)
    _write_plots(sources, products, choice, runs, numbers)
    splits = {
        name: read_table(file, SPLIT, text=SPLIT)
        for name, file in {
            "train": sources.train_csv,
            "val": sources.val_csv,
            "test": sources.test_csv,
        }.items()
    }
    manifest = read_table(sources.manifest, MANIFEST, text=MANIFEST)
    settings = [_read_settings(Path(file)) for file in sources.settings]
    facts = provenance(
        choice.dataset,
        choice.config,
        _checked_files(sources, products, choice.masks),
        {
            model: str(values.get("device", "unknown"))
            for model, values in zip(choice.models, settings, strict=True)
        },
        {
            "photos": {str(k): int(v) for k, v in manifest["status"].value_counts().items()},
            "faces": {name: len(table) for name, table in splits.items()},
            "people": {name: table["identity"].nunique() for name, table in splits.items()},
            "completions": len(numbers.metrics),
        },
    )
    with atomic(products.provenance) as partial:
        partial.write_text(json.dumps(facts, indent=2, sort_keys=True, default=str) + "\n")

    people = splits["test"].set_index("face")["identity"]
    measured = sorted(numbers.metrics["face"].unique())
    page.write_page(
        products.index,
        sources.template,
        {
            "dataset": choice.dataset,
            "size": compared[0].size,
            "align": choice.config.get("align", {}),
            "faces": page.number(len(measured), 0),
            "uneven": numbers.summary["faces"].nunique() > 1
            or len(runs) < len(compared) * numbers.summary["method"].nunique(),
            "people": page.number(people.reindex(measured).nunique(), 0),
            "overview": page.overview_table(numbers.summary) if len(compared) > 1 else None,
            "masks": _mask_views(numbers, compared, runs),
            "pictures": _page_pictures(products, choice, bool(samples)),
            "iterative": list(choice.iterative),
            "models": [
                page.model_view(*files, values, numbers.models)
                for *files, values in zip(
                    choice.models, sources.histories, sources.losses, sources.samples,
                    sources.samples_gif, settings, strict=True,
                )
            ],
            "data": page.data_view(manifest, splits),
            "faces_sheet": embed.photo(sources.faces_sheet),
            "timings": page.timing_rows(numbers.timings),
            "facts": facts,
            "config": yaml.safe_dump(choice.config, sort_keys=False, allow_unicode=True),
        },
    )  # fmt: skip
    log.info("%s: %.1f MB", products.index, Path(products.index).stat().st_size / 1e6)
    return len(numbers.metrics)


def _write_tables(
    sources: Sources, products: Products, choice: Choice, runs: list[Run]
) -> _Numbers:
    jobs = read_jobs(choice.timings)
    searches = {
        tuple(run): tables.read_search(file)
        for run, file in zip(choice.iterative, sources.search, strict=True)
    }
    courses = fit_courses({run: losses["unweighted"] for run, losses in searches.items()}, jobs)
    identities = read_table(sources.test_csv, SPLIT, text=SPLIT).set_index("face")["identity"]
    face_counts = {method: min(limit, len(identities)) for method, limit in choice.limits.items()}
    metrics = tables.gather(sources.metrics, runs, face_counts)
    _check_known(metrics, identities, sources.test_csv)
    means = tables.bootstrap(metrics, runs, identities)
    numbers = _Numbers(
        metrics=metrics,
        summary=tables.summarise(means),
        differences=tables.differences(means),
        sets=tables.gather_sets(sources.set_metrics, runs),
        models=tables.gather_models(sources.model_metrics, choice.measured_models),
        timings=combine(jobs),
        seconds=seconds_per_face(jobs),
        searches=searches,
        courses=courses,
        fits=fit_table(courses, choice.searched_models),
    )
    write_table(products.metrics, metrics, FLOAT_FORMAT)
    write_table(products.summary, numbers.summary, FLOAT_FORMAT)
    write_table(products.differences, numbers.differences, FLOAT_FORMAT)
    write_table(products.set_metrics, numbers.sets, SET_FLOAT_FORMAT)
    write_table(products.model_metrics, numbers.models, SET_FLOAT_FORMAT)
    write_table(products.timings, numbers.timings)
    return numbers


def _check_known(metrics: pd.DataFrame, identities: pd.Series, test_csv: str) -> None:
    unknown = metrics[~metrics["face"].isin(identities.index)]
    if len(unknown):
        mask, face = unknown[["mask", "face"]].iloc[0]
        raise FacefillError(
            f"mask {mask}: face {face!r} was measured, but is not in {test_csv}; delete the mask's "
            "completions and run again"
        )


def _compared(
    sources: Sources, choice: Choice, runs: list[Run], metrics: pd.DataFrame
) -> list[Completions]:
    """One Completions per mask, with the originals of the faces that all methods completed."""
    names, originals = read_split(sources.test_npy, sources.test_csv)
    rows = {name: row for row, name in enumerate(names)}
    folders = dict(zip(runs, map(Path, sources.completions), strict=True))
    compared = []
    for mask in tables.masks_of(runs):
        of_mask = metrics[metrics["mask"] == mask].groupby("method")["face"]
        faces = sorted(set.intersection(*(set(of_method) for _, of_method in of_mask)))
        compared.append(
            Completions(
                mask,
                {method: folder for (name, method), folder in folders.items() if name == mask},
                faces,
                np.asarray(originals[[rows[face] for face in faces]]),
                make_masks(choice.masks[mask], faces, originals.shape[1], choice.zoom),
            )
        )
    return compared


def _samples(
    sources: Sources, choice: Choice, metrics: pd.DataFrame, compared: list[Completions]
) -> tuple[Completions, dict[str, np.ndarray]] | None:
    """The first mask under which methods made several completions per face, and these, if any."""
    files = dict(zip(map(tuple, choice.iterative), sources.completion_samples, strict=True))
    for item in compared:
        samples = {}
        for method in item.folders:
            if (item.mask, method) in files:
                part = metrics[(metrics["mask"] == item.mask) & (metrics["method"] == method)]
                drawn = read_samples(files[item.mask, method], len(part), item.size)
                if drawn.shape[1] > 1:  # sorted by face, as `part` is
                    samples[method] = drawn[part["face"].isin(item.faces).to_numpy()]
        if samples:
            return item, samples
    return None


def _write_pictures(
    sources: Sources,
    products: Products,
    choice: Choice,
    metrics: pd.DataFrame,
    compared: list[Completions],
    samples: tuple[Completions, dict[str, np.ndarray]] | None,
) -> None:
    for kind in KINDS:
        blocks = []
        for item in compared:
            method = next(iter(item.folders))
            faces = ranked(metrics, item, method, kind, EXAMPLES)
            title = f"mask {item.mask}: {kind} {len(faces)} of {len(item.faces)} by {method}"
            blocks.append((title, item.rows(faces)))
        pictures.write_examples(getattr(products, kind), blocks)
    pictures.write_masks(products.masks, compared)
    first = compared[0]
    if samples:
        pictures.write_samples(products.samples_png, *samples)
    else:
        pictures.write_notice(products.samples_png, "Every method made one completion per face.")

    if choice.iterative:
        # One mask tells the story; the GIFs of the others lie beside their completions.
        mask = choice.iterative[0][0]
        gifs = {
            f"{name}, {method}": Path(gif)
            for (name, method), gif in zip(choice.iterative, sources.progress, strict=True)
            if name == mask
        }
        pictures.write_search(products.completion, gifs)
    else:
        faces = _some(first.faces, STEP_FACES)
        pictures.write_steps(products.completion, f"mask {first.mask}", first.rows(faces))


def _write_plots(
    sources: Sources, products: Products, choice: Choice, runs: list[Run], numbers: _Numbers
) -> None:
    colours = plots.colours_of(runs)
    plots.write_metrics(products.metrics_png, numbers.metrics, runs)
    quality = numbers.summary[["mask", "method", "hole_psnr"]].assign(
        seconds=[numbers.seconds.get(run, 0) for run in runs]
    )
    quality = quality[quality["hole_psnr"].notna() & (quality["seconds"] > 0)]
    plots.write_timings(products.timings_png, numbers.timings, quality, numbers.courses, colours)
    if choice.iterative:
        plots.write_search(products.search_png, numbers.searches, colours)
    else:
        pictures.write_notice(products.search_png, "No method of this report searches.")


def _mask_views(
    numbers: _Numbers, compared: list[Completions], runs: list[Run]
) -> list[dict[str, Any]]:
    """What the page shows of every mask: its tables, and grids of faces."""
    columns = len(runs) + len(GIVEN) * len(compared)
    unit = PAGE_PIXELS // (columns * compared[0].size ** 2 * PAGE_UNITS)
    unit = int(np.clip(unit, 1, EXAMPLES))
    views = []
    for item in compared:
        method = next(iter(item.folders))
        grids = {"typical": _some(item.faces, 2 * unit)}
        grids |= {kind: ranked(numbers.metrics, item, method, kind, unit) for kind in KINDS}
        views.append(
            {
                "name": item.mask,
                "ranked_by": method,
                "hidden": pictures.hidden_share(item.masks),
                "block": item.masks.block,
                "summary": page.summary_table(
                    numbers.summary, numbers.differences, numbers.seconds, item.mask
                ),
                "sets": page.set_table(numbers.sets, item.mask),
                "differences": page.difference_table(numbers.differences, item.mask),
                "fits": page.fit_rows(numbers.fits, item.mask),
                "grids": {
                    kind: [
                        embed.columns(item.rows(faces[start : start + EXAMPLES]), GIVEN)
                        for start in range(0, len(faces), EXAMPLES)
                    ]
                    for kind, faces in grids.items()
                },
            }
        )
    return views


def _page_pictures(products: Products, choice: Choice, samples: bool) -> dict[str, str | None]:
    return {
        "metrics_png": embed.plot(products.metrics_png),
        "timings_png": embed.plot(products.timings_png),
        "masks": embed.photo(products.masks),
        "completion": embed.film(products.completion),
        "search_png": embed.plot(products.search_png) if choice.iterative else None,
        "samples_png": embed.photo(products.samples_png) if samples else None,
    }


def ranked(
    metrics: pd.DataFrame, item: Completions, method: str, kind: str, count: int
) -> list[str]:
    """Return the `count` faces at which `method` did "best", "median" (those around it) or "worst".

    Of those that `item` shows, under its mask. By PSNR of the hole, best first ("worst": worst
    first); by PSNR of the face where nothing is hidden.
    """
    part = metrics[(metrics["mask"] == item.mask) & (metrics["method"] == method)]
    part = part[part["face"].isin(item.faces)]
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


def _checked_files(
    sources: Sources, products: Products, masks: dict[str, dict[str, Any]]
) -> list[str]:
    """What the provenance has checksums of: all that was read, and written so far."""
    read = [getattr(sources, field.name) for field in fields(sources) if field.name != "template"]
    paths = [path for value in read for path in ([value] if isinstance(value, str) else value)]
    paths += [mask["path"] for mask in masks.values() if mask["kind"] == "file"]
    written = [getattr(products, field.name) for field in fields(products)]
    later = (products.provenance, products.index)
    return [*paths, *(path for path in written if path not in later)]
