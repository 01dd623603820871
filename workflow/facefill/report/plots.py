"""Plots of the report: perception, distributions, searches, and quality against time."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facefill.core.figures import Figure, Line2D, LogLocator, NullFormatter
from facefill.core.files import atomic
from facefill.metrics import face_metrics
from facefill.report.tables import Pair, masks_of, methods_of

COLOURS = [
    "#3b6fb6", "#d9822b", "#3f9c6c", "#b8478b", "#7a68c2", "#8a6d3b", "#4a9fb5", "#c14b4b",
    "#9aa02c", "#5c6570", "#e58fb1", "#1f5f4a", "#c9b458", "#24408e", "#f0a35e", "#7d2e46",
]  # fmt: skip
BLACK = "#222222"
BANDS = {"sharpness_coarse": 11.3, "sharpness_medium": 5.7, "sharpness": 2.8}  # middles in pixels
# Promised share in percent, and how the marker is filled.
BAND_MARKERS = {
    "coverage_50": (50, "full"),
    "coverage_90": (90, "full"),
    "coverage_90_scaled": (91.6, "none"),  # beside the other, not on it
}
MARKERS = "osD^vP*X<>pd"  # one per mask

Tables, Colours = dict[Pair, pd.DataFrame], dict[str, str]
Curve = tuple[np.ndarray, np.ndarray]


def colours_of(pairs: Sequence[Pair]) -> dict[str, str]:
    """A colour for every method of `pairs`, the same in all plots."""
    methods = dict.fromkeys(method for _, method in pairs)
    return dict(zip(methods, itertools.cycle(COLOURS)))


def write_perception(
    path: Path | str, summary: pd.DataFrame, sets: pd.DataFrame, colours: Colours
) -> None:
    """Plot perception against distortion: a row per mask, crosses are 95 % intervals.

    The hole's PSNR against detectability, and against KID on texture, which still ranks what is
    always detected, a point per method; on the right the power of the hole by octave of wave
    length beside the originals', a line per method. `summary` is the table of `tables.summarise`,
    `sets` holds mask, method, metric, value, low and high.
    """
    masks = list(dict.fromkeys(summary["mask"]))
    told = sets.set_index(["metric", "mask", "method"])[["value", "low", "high"]]
    figure = Figure(figsize=(15, 0.4 + 4.2 * len(masks)), dpi=100, layout="constrained")
    axes = figure.subplots(len(masks), 3, squeeze=False, gridspec_kw={"width_ratios": [5, 5, 4]})
    for mask, (points, textures, curves) in zip(masks, axes, strict=True):
        rows = summary[summary["mask"] == mask].to_dict("records")
        placed = [row for row in rows if not np.isnan(row["hole_psnr"])]
        for row in placed:
            for axis, name, factor in (
                (points, "detectability", 100),
                (textures, "kid_texture", 1),
            ):
                values = told.loc[name, mask, row["method"]] * factor
                _cross(axis, row, values, colours[row["method"]])
            _curve(curves, row, colours[row["method"]])
        points.axhline(50, color=BLACK, linewidth=1, linestyle=":")
        for axis in (points, textures):  # the best corner is the upper right one
            axis.set(xlabel="PSNR of the hole [dB]: less distorted to the right")
            axis.margins(x=0.12)
        points.set_ylabel(f"mask {mask}\ndetectability [%]: less is more like faces")
        points.set_ylim(104, 44)
        points.set_yticks(range(50, 101, 10))
        textures.set_yscale("symlog", linthresh=0.1, subs=[2, 5])
        textures.yaxis.set_major_formatter("{x:g}")
        textures.yaxis.set_minor_formatter("{x:g}")
        textures.invert_yaxis()
        textures.set_ylabel("KID on texture: less is more like faces")
        curves.axhline(1, color=BLACK, linewidth=1, linestyle=":")
        curves.set(xscale="log", yscale="log", xlabel="wave length [pixels]")
        curves.set_ylabel("power in the hole, 1 = as the true faces")
        curves.set_xticks(list(BANDS.values()), ["8 to 16", "4 to 8", "2 to 4"])
        curves.xaxis.set_minor_formatter(NullFormatter())
        curves.set_xlim(max(BANDS.values()) * 1.3, min(BANDS.values()) / 1.3)
        for axis in (points, textures, curves):
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
        if not placed:
            points.text(0.5, 0.5, "Nothing is hidden.", transform=points.transAxes, ha="center")
    labels = [_marker(method, "o", colours[method]) for method in dict.fromkeys(summary["method"])]
    figure.legend(handles=labels, loc="outside upper left", ncols=8, fontsize=9, frameon=False)
    _save(figure, path)


def _cross(axis, row: dict, told: pd.Series, colour: str) -> None:
    """A method's point with both intervals, and its name."""
    x, y = row["hole_psnr"], told["value"]
    widths = [[x - row["hole_psnr_low"]], [row["hole_psnr_high"] - x]]
    heights = [[max(0, y - told["low"])], [max(0, told["high"] - y)]]
    axis.errorbar(x, y, heights, widths, fmt="o", color=colour, markersize=6, elinewidth=1.4)
    axis.annotate(
        row["method"], (x, y), xytext=(5, 6), textcoords="offset points", fontsize=8.5,
        color=colour,
    )  # fmt: skip


def _curve(axis, row: dict, colour: str) -> None:
    """The power of a method's holes by octave, the coarsest first, with intervals."""
    values = np.array([row[name] for name in BANDS])
    limits = [[row[f"{name}_{end}"] for name in BANDS] for end in ("low", "high")]
    errors = np.abs(np.array(limits) - values)
    axis.errorbar(list(BANDS.values()), values, errors, fmt="o-", color=colour, markersize=4)


def write_reliability(
    path: Path | str, sets: pd.DataFrame, curves: dict[Pair, Curve], colours: Colours
) -> None:
    """Plot whether samples know how wrong they are: a row per mask of `curves`.

    On the left the share of hidden values within the bands of 50 and 90 %, with 95 % intervals,
    the scaled band hollow; on the right the actual error of the samples' mean against what their
    spread says, a line per method. `sets` holds mask, method, metric, value, low and high,
    `curves` are what `bands.reliability` returns.
    """
    masks = masks_of(curves)
    rows = sets.set_index(["mask", "method", "metric"])[["value", "low", "high"]] * 100
    figure = Figure(figsize=(10, 0.4 + 3.8 * len(masks)), dpi=100, layout="constrained")
    axes = figure.subplots(len(masks), 2, squeeze=False)
    for mask, (bands, errors) in zip(masks, axes, strict=True):
        methods = methods_of(curves, mask)
        for place, method in enumerate(methods):
            shift = 2.2 * (place - (len(methods) - 1) / 2)
            for name, (nominal, marker) in BAND_MARKERS.items():
                value, low, high = rows.loc[mask, method, name]
                bands.errorbar(
                    nominal + shift, value, [[value - low], [high - value]], fmt="o",
                    color=colours[method], markersize=6, elinewidth=1.4, fillstyle=marker,
                )  # fmt: skip
            errors.plot(*curves[mask, method], "o-", color=colours[method], markersize=4)
        limit = 1.05 * max(side.max() for method in methods for side in curves[mask, method])
        for axis, end in ((bands, 104), (errors, limit)):
            axis.plot([0, end], [0, end], color=BLACK, linewidth=1, linestyle=":", zorder=0)
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
        bands.set(xlim=(30, 110), ylim=(0, 104), xlabel="promised by the band [%]")
        bands.set_xticks([50, 90])
        bands.set_ylabel(f"mask {mask}\nhidden values within [%]")
        errors.set(xlim=(0, limit), ylim=(0, limit), ylabel="error of the mean [grey levels]")
        errors.set_xlabel("error that the samples' spread says [grey levels]")
    methods = dict.fromkeys(method for _, method in curves)
    labels = [_marker(method, "o", colours[method]) for method in methods]
    labels.append(Line2D([], [], marker="o", color=BLACK, linestyle="", fillstyle="none",
                         label="scaled on validation people"))  # fmt: skip
    figure.legend(handles=labels, loc="outside upper left", ncols=6, fontsize=9, frameon=False)
    _save(figure, path)


def write_metrics(path: Path | str, table: pd.DataFrame, pairs: Sequence[Pair]) -> None:
    """Plot every face's measures: a row per mask, a box (quartiles, 5 and 95 %) per method.

    `table` is that of `tables.gather`.
    """
    masks, metrics = masks_of(pairs), face_metrics("plot")
    colours = colours_of(pairs)
    heights = [1.3 + 0.32 * len(methods_of(pairs, mask)) for mask in masks]
    figure = Figure(figsize=(4 * len(metrics), sum(heights)), dpi=100, layout="constrained")
    axes = figure.subplots(
        len(masks), len(metrics), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for mask, row in zip(masks, axes, strict=True):
        methods = methods_of(pairs, mask)
        of_mask = table[table["mask"] == mask]
        for axis, (name, metric) in zip(row, metrics.items(), strict=True):
            for place, method in enumerate(methods):
                values = of_mask.loc[of_mask["method"] == method, name].dropna().to_numpy()
                _box(axis, metric.factor * values, place, colours[method])
            axis.set_yticks(range(len(methods)), methods if axis is row[0] else [])
            axis.set_ylim(len(methods) - 0.4, -0.6)
            axis.grid(axis="x", alpha=0.3)
            axis.spines[["top", "right", "left"]].set_visible(False)
            axis.tick_params(axis="y", length=0)
            if mask == masks[0]:
                axis.set_title(f"{metric.heading}, {metric.remark}", fontsize=10)
        row[0].set_ylabel(f"mask {mask}", fontsize=10)
    _save(figure, path)


def _box(axis, values: np.ndarray, place: int, colour: str) -> None:
    if not len(values):
        return  # nothing is hidden: measures of the hole are empty
    # Spread over the box's height by rank of position in the table, not at random: same bytes.
    spread = place + 0.22 * np.sin(np.arange(len(values)) * 2.4)
    axis.plot(values, spread, ".", color=colour, markersize=3, alpha=0.35, zorder=1)
    axis.boxplot(
        values, positions=[place], orientation="horizontal", widths=0.6, whis=(5, 95),
        showfliers=False, manage_ticks=False, medianprops={"color": colour, "linewidth": 2.5},
        boxprops={"color": colour}, whiskerprops={"color": colour}, capprops={"color": colour},
    )  # fmt: skip


def write_search(
    path: Path | str, searches: dict[Pair, dict[str, pd.DataFrame]], colours: dict[str, str]
) -> None:
    """Plot the searches: a row per mask, the loss and the contextual loss, a line per method.

    `searches` are by mask and method those of `tables.read_search`; the lines are their means.
    """
    masks = masks_of(searches)
    figure = Figure(figsize=(12, 0.6 + 2.4 * len(masks)), dpi=100, layout="constrained")
    axes = figure.subplots(len(masks), 2, squeeze=False)
    titles = {"loss": "loss, all terms", "contextual": "contextual loss, as the method weighs it"}
    for mask, row in zip(masks, axes, strict=True):
        for axis, (column, title) in zip(row, titles.items(), strict=True):
            lines = {
                method: losses[column].mean(axis=1)
                for (name, method), losses in searches.items()
                if name == mask
            }
            for method, line in lines.items():
                axis.plot(line.index, line, color=colours[method], label=method)
            if all((line > 0).all() for line in lines.values()):
                axis.set_yscale("log")  # weighted sums and plain ones differ by orders
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
            if mask == masks[0]:
                axis.set_title(title, fontsize=10)
            if mask == masks[-1]:
                axis.set_xlabel("step")
        row[0].set_ylabel(f"mask {mask}", fontsize=10)
    methods = dict.fromkeys(method for _, method in searches)
    labels = [Line2D([], [], color=colours[method], label=method) for method in methods]
    figure.legend(handles=labels, loc="outside upper left", ncols=6, fontsize=9, frameon=False)
    _save(figure, path)


def write_timings(
    path: Path | str, timings: pd.DataFrame, quality: pd.DataFrame, fits: Tables, colours: Colours
) -> None:
    """Plot the seconds of every stage, and quality and fit of known pixels against seconds.

    `timings` is the table of `timings.combine`; `quality` holds mask, method, seconds (per face)
    and hole_psnr, a point each; `fits` is what `fit.fits_over_time` returns, two masks to a row.
    """
    masks = masks_of(fits)
    stages = timings[timings["name"] == ""].reset_index(drop=True)
    bars = 0.9 + 0.36 * max(1, len(stages))
    points = 4.6 if len(quality) else 0.9
    fit_rows = -(-len(masks) // 2)
    heights = [bars, points, *[3.2] * fit_rows]
    figure = Figure(figsize=(11, sum(heights)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    stages_axis, quality_axis = (figure.add_subplot(grid[row, :]) for row in range(2))
    _draw_seconds(stages_axis, stages)
    if len(quality):
        _draw_quality(quality_axis, quality, colours)
    else:
        quality_axis.set_axis_off()
        missing = "Quality against time: no completion left its timing."
        quality_axis.text(0, 0.5, missing, fontsize=10)
    for number, mask in enumerate(masks):
        axis = figure.add_subplot(grid[2 + number // 2, number % 2])
        _draw_fits(axis, mask, fits, colours)
    _save(figure, path)


def _draw_fits(axis, mask: str, fits: Tables, colours: Colours) -> None:
    for (name, method), losses in fits.items():
        if name == mask:
            axis.plot(losses.index, losses.mean(axis=1), color=colours[method], label=method)
    axis.set(xscale="log", yscale="log", xlabel="seconds per face of searching")
    for scale in (axis.xaxis, axis.yaxis):  # numbers to read also within one power of ten
        scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter("{x:g}")
        scale.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(f"mask {mask}: mean |M * (G - y)|", fontsize=10)
    axis.legend(fontsize=8.5, frameon=False)


def _draw_seconds(axis, stages: pd.DataFrame) -> None:
    axis.barh(stages.index, stages["seconds"].astype(float), color=COLOURS[0], height=0.65)
    for place, row in stages.iterrows():
        rate = f", {row['items_per_second']:,.1f} {row['unit']}/s" if row["items"] else ""
        text = f" {row['seconds']:,.1f} s{rate}"
        axis.annotate(text, (row["seconds"], place), va="center", fontsize=9)
    axis.set_yticks(stages.index, stages["stage"])
    axis.set_ylim(max(1, len(stages)) - 0.4, -0.6)
    axis.margins(x=0.25)
    axis.set_xlim(left=0)
    axis.set_xlabel("seconds in which at least one job of the stage was running")
    axis.spines[["top", "right"]].set_visible(False)


def _draw_quality(axis, quality: pd.DataFrame, colours: dict[str, str]) -> None:
    markers = dict(zip(dict.fromkeys(quality["mask"]), itertools.cycle(MARKERS)))
    for row in quality.to_dict("records"):
        axis.plot(
            row["seconds"], row["hole_psnr"], markers[row["mask"]], color=colours[row["method"]],
            markersize=7, alpha=0.85,
        )  # fmt: skip
    axis.set(xscale="log", xlabel="seconds per face, loading included")
    axis.set_ylabel("PSNR of the hole [dB], mean")
    axis.margins(0.08)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    labels = [_marker(method, "s", colours[method]) for method in dict.fromkeys(quality["method"])]
    if len(markers) > 1:
        labels += [_marker(f"mask {mask}", shape, BLACK) for mask, shape in markers.items()]
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02)}
    axis.legend(handles=labels, fontsize=8.5, frameon=False, **place)


def _marker(label: str, shape: str, colour: str) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], marker=shape, color=colour, linestyle="", label=label)


def _save(figure: Figure, path: Path | str) -> None:
    with atomic(path) as partial:
        figure.savefig(partial, metadata={"Software": None})
