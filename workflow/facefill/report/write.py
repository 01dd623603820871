"""The whole report in one call."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import yaml

from facefill.calibrate import draws_of
from facefill.complete import read_samples
from facefill.core.bands import reliability
from facefill.core.errors import FacefillError
from facefill.core.files import read_json, read_table, write_bytes, write_table
from facefill.core.masking import make_masks
from facefill.metrics import FLOAT_FORMAT, SET_FLOAT_FORMAT, face_metrics, set_metrics
from facefill.report import embed, page, pictures, plots, tables, trainings
from facefill.report.fit import fit_table, fits_over_time
from facefill.report.pictures import Completions
from facefill.report.provenance import provenance
from facefill.report.tables import Pair
from facefill.report.timings import combine, read_jobs, seconds_per_face
from facefill.split import SPLITS, read_split

Files = Mapping[str, Any]  # by their names in rules/report.smk: a path, or a list of paths

log = logging.getLogger(__name__)

EXAMPLES = 6  # best, median and worst faces of every mask
STEP_FACES = 8
WALKS = 3  # methods whose walk between samples the page shows
# Of all faces in the page's grids together: keeps the page below 15 megabytes at any size.
PAGE_PIXELS = 6_000_000
RANKS = ("best", "median", "worst")
PAGE_UNITS = 2 + len(RANKS)  # two parts of them are typical faces, each of RANKS is one
RELIABILITY_BINS = 12
SINGLE = "Every method made one completion per face."
REFERENCES = ("original", "masked")  # on the page without loss
SPLIT = ["face", "identity", "source"]
DAMAGED_ORIGIN = "does not say where models and faces come from; delete it and run again"
MANIFEST = ["source", "identity", "status", "detail", "face"]


@dataclass(frozen=True)
class Choice:
    """What the report is about."""

    dataset: str
    pairs: Sequence[Pair]  # of mask and method
    trainings: Sequence[tuple[str, str, int]]  # further ones: mask, method and the number, from 2
    iterative: Sequence[Pair]  # those whose method searches
    sampled: Sequence[Pair]  # those whose method may make several completions of a face
    walked: Sequence[Pair]  # those of them with a walk between these
    mean_first: Sequence[str]  # methods whose first one is no draw, but their mean
    models: Sequence[str]
    measured_models: Sequence[str]  # those of them that make samples
    searched_models: dict[str, str]  # by method, the model that it searches
    limits: dict[str, int]  # how many faces a method completes at most
    masks: dict[str, dict[str, Any]]  # settings of every mask
    zoom: float  # of the alignment
    config: dict[str, Any]  # for the provenance, and alignment for the page
    timings: Sequence[str]  # JSON of the jobs; those that exist are read
    captions: dict[str, dict[str, str]]  # by model, what its losses, samples and gif show

    @classmethod
    def of(cls, params: Any) -> Self:
        """Take the fields from the attributes of `params`; it may have others."""
        return cls(**{field.name: getattr(params, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class _Samples:
    """What methods that make several completions of a face have made."""

    item: Completions | None  # the first mask under which one did
    of_item: dict[str, np.ndarray]  # by method, uint8 [N, K, size, size, 3]
    reliability: dict[Pair, plots.Curve]  # expected and actual error, of all masks


@dataclass(frozen=True)
class _Numbers:
    """The tables of the report."""

    metrics: pd.DataFrame
    summary: pd.DataFrame
    differences: pd.DataFrame
    sets: pd.DataFrame
    spread: pd.DataFrame  # over trainings
    models: pd.DataFrame  # set measures of models
    timings: pd.DataFrame
    seconds: dict[Pair, float]  # per face, of the pairs that left their timing
    searches: dict[Pair, dict[str, pd.DataFrame]]  # their losses by step and face
    fits: dict[Pair, pd.DataFrame]  # the loss over time, of the pairs that left their timing
    fit_table: pd.DataFrame


def write_report(inputs: Files, outputs: Files, choice: Choice) -> int:
    """Write all of `outputs`; return the number of completions that the report holds.

    A list of `inputs` has the order of one of `choice`: that of `pairs` metrics, set_metrics and
    completions (folders of {face}.png); of `trainings` training_metrics and
    training_set_metrics; of `iterative` progress and search; of `sampled`
    completion_samples (uint8 [N, K, size, size, 3]); of `walked` interpolation; of `models`
    histories, losses, samples, samples_gif, settings and weights; of `measured_models`
    model_metrics. `origin` is there, as a path, for a transfer alone.

    Raises FacefillError when an input is damaged, or when the methods of one mask were not
    measured on the same faces.
    """
    pairs = [tuple(pair) for pair in choice.pairs]
    numbers = _write_tables(inputs, outputs, choice, pairs)
    compared = _compared(inputs, choice, pairs, numbers.metrics)
    compared, samples = _samples(inputs, choice, numbers.metrics, compared)
    _write_pictures(inputs, outputs, choice, numbers.metrics, compared, samples)
    _write_plots(outputs, choice, pairs, numbers, samples)
    splits = {name: _read_split_table(inputs[f"{name}_csv"]) for name in SPLITS}
    manifest = read_table(inputs["manifest"], MANIFEST, text=MANIFEST)
    damaged = "not a model's settings; delete its folder and run again"
    settings = [read_json(file, damaged) for file in inputs["settings"]]
    # Of a transfer, what its models were trained on lies elsewhere.
    origin = read_json(inputs["origin"], DAMAGED_ORIGIN) if inputs.get("origin") else {}
    counts = {
        "photos": {str(k): int(v) for k, v in manifest["status"].value_counts().items()},
        "faces": {name: len(table) for name, table in splits.items()} | origin.get("faces", {}),
        "people": {name: table["identity"].nunique() for name, table in splits.items()}
        | origin.get("people", {}),
        "completions": len(numbers.metrics),
    }
    devices = [str(of_model.get("device", "unknown")) for of_model in settings]
    devices = dict(zip(choice.models, devices, strict=True))
    files = _checked_files(inputs, outputs, choice.masks)
    facts = provenance(choice.dataset, choice.config, files, devices, counts)
    facts |= {"origin": origin} if origin else {}
    text = json.dumps(facts, indent=2, sort_keys=True, default=str) + "\n"
    write_bytes(outputs["provenance"], text.encode())
    lists = [inputs[key] for key in ("histories", "losses", "samples", "samples_gif")]
    models = [
        page.model_view(name, *of_model, choice.captions.get(name, {}))
        | {"likeness": page.likeness(numbers.models, name, "page")}
        for name, *of_model in zip(choice.models, *lists, settings, strict=True)
    ]
    context = _results(numbers, compared, pairs, splits["test"]) | {
        "dataset": choice.dataset,
        "align": choice.config.get("align", {}),
        "pictures": _page_pictures(outputs, choice, samples),
        "walks": _walks(inputs, choice, samples),
        "white": pictures.WHITE,
        "iterative": list(choice.iterative),
        "models": models,
        "data": page.data_view(manifest, counts),
        "origin": page.origin_view(origin),
        "faces_sheet": embed.photo(inputs["faces_sheet"]),
        "facts": facts,
        "config": yaml.safe_dump(choice.config, sort_keys=False, allow_unicode=True),
    }
    page.write_page(outputs["index"], inputs["template"], context)
    log.info("%s: %.1f MB", outputs["index"], Path(outputs["index"]).stat().st_size / 1e6)
    return len(numbers.metrics)


def _read_split_table(file: str) -> pd.DataFrame:
    return read_table(file, SPLIT, text=SPLIT)


def _write_tables(inputs: Files, outputs: Files, choice: Choice, pairs: list[Pair]) -> _Numbers:
    jobs = read_jobs(choice.timings)
    searches = {
        tuple(pair): tables.read_search(file)
        for pair, file in zip(choice.iterative, inputs["search"], strict=True)
    }
    fits = fits_over_time({pair: losses["unweighted"] for pair, losses in searches.items()}, jobs)
    identities = _read_split_table(inputs["test_csv"]).set_index("face")["identity"]
    face_counts = {method: min(limit, len(identities)) for method, limit in choice.limits.items()}
    metrics = tables.gather(inputs["metrics"], pairs, face_counts)
    _check_faces_known(metrics, identities, inputs["test_csv"])
    means = tables.bootstrap(metrics, pairs, identities)
    sets = tables.gather_sets(inputs["set_metrics"], ["mask", "method"], pairs)
    further = tables.gather_trainings(inputs["training_metrics"], choice.trainings, face_counts)
    further_sets = tables.gather_sets(
        inputs["training_set_metrics"], ["mask", "method", "training"], choice.trainings
    )
    every = trainings.values(metrics, sets, further, further_sets)
    numbers = _Numbers(
        metrics=metrics,
        summary=tables.summarise(means),
        differences=tables.differences(means, further),
        sets=sets,
        spread=trainings.spread(every),
        models=tables.gather_sets(inputs["model_metrics"], ["model"], zip(choice.measured_models)),
        timings=combine(jobs),
        seconds=seconds_per_face(jobs),
        searches=searches,
        fits=fits,
        fit_table=fit_table(fits, choice.searched_models),
    )
    write_table(outputs["metrics"], metrics, FLOAT_FORMAT)
    write_table(outputs["summary"], numbers.summary, FLOAT_FORMAT)
    write_table(outputs["trainings"], every, SET_FLOAT_FORMAT)
    write_table(outputs["differences"], numbers.differences, FLOAT_FORMAT)
    write_table(outputs["set_metrics"], numbers.sets, SET_FLOAT_FORMAT)
    write_table(outputs["model_metrics"], numbers.models, SET_FLOAT_FORMAT)
    write_table(outputs["timings"], numbers.timings)
    return numbers


def _check_faces_known(metrics: pd.DataFrame, identities: pd.Series, test_csv: str) -> None:
    unknown = metrics[~metrics["face"].isin(identities.index)]
    if len(unknown):
        mask, face = unknown[["mask", "face"]].iloc[0]
        raise FacefillError(
            f"mask {mask}: face {face!r} was measured, but is not in {test_csv}; delete the mask's "
            "completions and run again"
        )


def _compared(
    inputs: Files, choice: Choice, pairs: list[Pair], metrics: pd.DataFrame
) -> list[Completions]:
    """One Completions per mask, with the originals of the faces that all methods completed."""
    names, originals = read_split(inputs["test_npy"], inputs["test_csv"])
    rows = {name: row for row, name in enumerate(names)}
    folders = dict(zip(pairs, map(Path, inputs["completions"]), strict=True))
    compared = []
    for mask in tables.masks_of(pairs):
        of_mask = metrics[metrics["mask"] == mask].groupby("method")["face"]
        faces = sorted(set.intersection(*(set(of_method) for _, of_method in of_mask)))
        compared.append(
            Completions(
                mask,
                {method: folders[mask, method] for method in tables.methods_of(pairs, mask)},
                faces,
                np.asarray(originals[[rows[face] for face in faces]]),
                make_masks(choice.masks[mask], faces, originals.shape[1], choice.zoom),
            )
        )
    return compared


def _samples(
    inputs: Files, choice: Choice, metrics: pd.DataFrame, compared: list[Completions]
) -> tuple[list[Completions], _Samples]:
    """Several completions per face, and `compared` with their spreads."""
    files = dict(zip(map(tuple, choice.sampled), inputs["completion_samples"], strict=True))
    first, with_spreads = _Samples(None, {}, {}), []
    for item in compared:
        samples = {}
        for method in item.folders:
            if (item.mask, method) in files:
                part = metrics[(metrics["mask"] == item.mask) & (metrics["method"] == method)]
                every = read_samples(files[item.mask, method], len(part), item.size)
                if every.shape[1] > 1:  # sorted by face, as `part` is
                    samples[method] = every[part["face"].isin(item.faces).to_numpy()]
        draws = {
            method: draws_of(every, method in choice.mean_first)
            for method, every in samples.items()
        }
        draws = {method: every for method, every in draws.items() if every.shape[1] > 1}
        if not item.masks.known.all():
            for method, every in draws.items():
                curve = reliability(every, item.originals, ~item.masks.known, RELIABILITY_BINS)
                first.reliability[item.mask, method] = curve
        spreads = {method: pictures.spread(every) for method, every in draws.items()}
        with_spreads.append(replace(item, spreads=spreads))
        if samples and first.item is None:
            first = replace(first, item=with_spreads[-1], of_item=samples)
    return with_spreads, first


def _write_pictures(
    inputs: Files,
    outputs: Files,
    choice: Choice,
    metrics: pd.DataFrame,
    compared: list[Completions],
    samples: _Samples,
) -> None:
    for rank in RANKS:
        blocks = []
        for item in compared:
            method = next(iter(item.folders))
            faces = ranked(metrics, item, method, rank, EXAMPLES)
            title = f"mask {item.mask}: {rank} {len(faces)} of {len(item.faces)} by {method}"
            blocks.append((title, item.examples(faces)))
        pictures.write_examples(outputs[rank], blocks)
    pictures.write_masks(outputs["masks"], compared)
    if samples.item:
        pictures.write_samples(outputs["samples_png"], samples.item, samples.of_item)
    else:
        pictures.write_notice(outputs["samples_png"], SINGLE)

    if choice.iterative:
        # One mask is enough to watch; the GIFs of the others lie beside their completions.
        mask = choice.iterative[0][0]
        gifs = {
            f"{name}, {method}": Path(gif)
            for (name, method), gif in zip(choice.iterative, inputs["progress"], strict=True)
            if name == mask
        }
        pictures.write_search(outputs["completion"], gifs)
    else:
        first = compared[0]
        faces = _evenly_spaced(first.faces, STEP_FACES)
        pictures.write_steps(outputs["completion"], f"mask {first.mask}", first.rows(faces))


def _write_plots(
    outputs: Files, choice: Choice, pairs: list[Pair], numbers: _Numbers, samples: _Samples
) -> None:
    colours = plots.colours_of(pairs)
    plots.write_perception(outputs["perception_png"], numbers.summary, numbers.sets, colours)
    plots.write_metrics(outputs["metrics_png"], numbers.metrics, pairs)
    quality = numbers.summary[["mask", "method", "hole_psnr"]].assign(
        seconds=[numbers.seconds.get(pair, 0) for pair in pairs]
    )
    quality = quality[quality["hole_psnr"].notna() & (quality["seconds"] > 0)]
    plots.write_timings(outputs["timings_png"], numbers.timings, quality, numbers.fits, colours)
    if samples.reliability:
        plots.write_reliability(
            outputs["reliability_png"], numbers.sets, samples.reliability, colours
        )
    else:
        pictures.write_notice(outputs["reliability_png"], SINGLE)
    if choice.iterative:
        plots.write_search(outputs["search_png"], numbers.searches, colours)
    else:
        pictures.write_notice(outputs["search_png"], "No method of this report searches.")


def _results(
    numbers: _Numbers, compared: list[Completions], pairs: list[Pair], test: pd.DataFrame
) -> dict[str, Any]:
    """What the page says of the measures; `test` is the table of the test split."""
    faces = numbers.metrics["face"].unique()
    sets = set_metrics("completions", "samples", "generator", where="page")
    measured = {*numbers.sets["metric"], *numbers.models["metric"]}
    shown = face_metrics("page") | {name: sets[name] for name in sets if name in measured}
    methods = numbers.summary["method"].nunique()
    return {
        "size": compared[0].size,
        "faces": page.number(len(faces), 0),
        "people": page.number(test[test["face"].isin(faces)]["identity"].nunique(), 0),
        "uneven": numbers.summary["faces"].nunique() > 1 or len(pairs) < len(compared) * methods,
        "overview": page.overview_table(numbers.summary) if len(compared) > 1 else None,
        "masks": _mask_views(numbers, compared, pairs),
        "explanations": page.explanations(shown),
        "trainings": int(numbers.spread["trainings"].max()) if len(numbers.spread) else 0,
        "timings": page.timing_rows(numbers.timings),
    }


def _mask_views(
    numbers: _Numbers, compared: list[Completions], pairs: list[Pair]
) -> list[dict[str, Any]]:
    """What the page shows of every mask: its tables, and grids of faces."""
    columns = len(pairs) + sum(len(REFERENCES) + len(item.spreads) for item in compared)
    unit = PAGE_PIXELS // (columns * compared[0].size ** 2 * PAGE_UNITS)
    unit = int(np.clip(unit, 1, EXAMPLES))
    compared_numbers = numbers.summary, numbers.differences, numbers.seconds, numbers.spread
    views = []
    for item in compared:
        method = next(iter(item.folders))
        grids = {"typical": _evenly_spaced(item.faces, 2 * unit)}
        grids |= {rank: ranked(numbers.metrics, item, method, rank, unit) for rank in RANKS}
        views.append(
            {
                "name": item.mask,
                "ranked_by": method,
                "hidden": pictures.hidden_share(item.masks),
                "block": item.masks.block,
                "summary": page.summary_table(*compared_numbers, item.mask),
                "sets": page.set_table(numbers.sets, numbers.spread, item.mask, "completions"),
                "samples": page.set_table(numbers.sets, numbers.spread, item.mask, "samples"),
                "differences": page.difference_table(numbers.differences, item.mask),
                "fits": page.fit_rows(numbers.fit_table, item.mask),
                "grids": {
                    rank: [
                        embed.columns(item.examples(faces[start : start + EXAMPLES]), REFERENCES)
                        for start in range(0, len(faces), EXAMPLES)
                    ]
                    for rank, faces in grids.items()
                },
            }
        )
    return views


def _page_pictures(outputs: Files, choice: Choice, samples: _Samples) -> dict[str, str | None]:
    return {
        "perception_png": embed.plot(outputs["perception_png"]),
        "metrics_png": embed.plot(outputs["metrics_png"]),
        "timings_png": embed.plot(outputs["timings_png"]),
        "masks": embed.photo(outputs["masks"]),
        "completion": embed.film(outputs["completion"]),
        "search_png": embed.plot(outputs["search_png"]) if choice.iterative else None,
        "samples_png": embed.photo(outputs["samples_png"]) if samples.item else None,
        "reliability_png": (
            embed.plot(outputs["reliability_png"]) if samples.reliability else None
        ),
    }


def _walks(inputs: Files, choice: Choice, samples: _Samples) -> dict[str, str]:
    """The walks between the samples that are shown, by mask and method: films for the page."""
    if samples.item is None:
        return {}
    mask = samples.item.mask
    files = dict(zip(map(tuple, choice.walked), inputs["interpolation"], strict=True))
    shown = [method for method in samples.of_item if (mask, method) in files][:WALKS]
    return {f"{mask}, {method}": embed.film(files[mask, method]) for method in shown}


def ranked(
    metrics: pd.DataFrame, item: Completions, method: str, rank: str, count: int
) -> list[str]:
    """Return the `count` faces that `method` completed "best", "median" (around it) or "worst".

    Of those that `item` shows, under its mask. By PSNR of the hole, best first ("worst": worst
    first); by PSNR of the face where nothing is hidden.
    """
    part = metrics[(metrics["mask"] == item.mask) & (metrics["method"] == method)]
    part = part[part["face"].isin(item.faces)]
    key = "hole_psnr" if part["hole_psnr"].notna().any() else "psnr"
    faces = part.sort_values([key, "face"], ascending=[False, True])["face"].tolist()
    count = min(count, len(faces))
    start = {"best": 0, "median": (len(faces) - count) // 2, "worst": len(faces) - count}[rank]
    chosen = faces[start : start + count]
    return chosen[::-1] if rank == "worst" else chosen


def _evenly_spaced(faces: list[str], count: int) -> list[str]:
    """At most `count` faces, not chosen by how well they were completed."""
    places = np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int)
    return [faces[place] for place in places]


def _checked_files(inputs: Files, outputs: Files, masks: dict[str, dict[str, Any]]) -> list[str]:
    """What the provenance has checksums of: all that was read, and written so far."""
    paths = []
    for name, value in inputs.items():
        if name != "template":
            paths += [value] if isinstance(value, str) else value
    paths += [mask["path"] for mask in masks.values() if "path" in mask]
    return paths + [outputs[name] for name in outputs if name not in ("provenance", "index")]
