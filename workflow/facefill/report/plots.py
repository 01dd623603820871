"""Plots of the report: the metrics' distributions and the stages' seconds."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from facefill.files import atomic
from facefill.report.tables import Run

PLOTTED = {
    "hole_psnr": "PSNR of the hole [dB], more is better",
    "hole_ssim": "SSIM of the hole, more is better",
    "identity_distance": "identity distance, less is better",
}
COLOURS = ["#3b6fb6", "#d9822b", "#3f9c6c", "#b8478b", "#7a68c2", "#8a6d3b", "#4a9fb5", "#c14b4b"]


def write_metrics(path: Path | str, table: pd.DataFrame, runs: list[Run]) -> None:
    """Plot every face's metrics: a row per mask, a box (quartiles, 5 and 95 %) per method.

    `table` is that of `tables.gather`.
    """
    masks = list(dict.fromkeys(mask for mask, _ in runs))
    methods = list(dict.fromkeys(method for _, method in runs))
    heights = [1.3 + 0.32 * sum(name == mask for name, _ in runs) for mask in masks]
    figure = Figure(figsize=(12, sum(heights)), dpi=100, layout="constrained")
    axes = figure.subplots(
        len(masks), len(PLOTTED), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for mask, line in zip(masks, axes, strict=True):
        of_mask = table[table["mask"] == mask]
        drawn = [method for name, method in runs if name == mask]
        for number, (axis, (metric, title)) in enumerate(zip(line, PLOTTED.items(), strict=True)):
            for place, method in enumerate(drawn):
                values = of_mask.loc[of_mask["method"] == method, metric].dropna().to_numpy()
                _box(axis, values, place, COLOURS[methods.index(method) % len(COLOURS)])
            axis.set_yticks(range(len(drawn)), drawn if number == 0 else [])
            axis.set_ylim(len(drawn) - 0.4, -0.6)
            axis.grid(axis="x", alpha=0.3)
            axis.spines[["top", "right", "left"]].set_visible(False)
            axis.tick_params(axis="y", length=0)
            if mask == masks[0]:
                axis.set_title(title, fontsize=10)
        line[0].set_ylabel(f"mask {mask}", fontsize=10)
    _save(figure, path)


def _box(axis, values: np.ndarray, place: int, colour: str) -> None:
    if not len(values):
        return  # nothing is hidden: the metrics of the hole are empty
    # Spread over the box's height by rank of position in the table, not at random: same bytes.
    spread = place + 0.22 * np.sin(np.arange(len(values)) * 2.4)
    axis.plot(values, spread, ".", color=colour, markersize=3, alpha=0.35, zorder=1)
    axis.boxplot(
        values, positions=[place], orientation="horizontal", widths=0.6, whis=(5, 95),
        showfliers=False, manage_ticks=False, medianprops={"color": colour, "linewidth": 2.5},
        boxprops={"color": colour}, whiskerprops={"color": colour}, capprops={"color": colour},
    )  # fmt: skip


def write_timings(path: Path | str, timings: pd.DataFrame) -> None:
    """Plot the seconds of every stage; `timings` is the table of `timings.combine`."""
    stages = timings[timings["name"] == ""].reset_index(drop=True)
    figure = Figure(figsize=(9, 0.9 + 0.36 * max(1, len(stages))), dpi=100, layout="constrained")
    axis = figure.subplots()
    axis.barh(stages.index, stages["seconds"].astype(float), color=COLOURS[0], height=0.65)
    for place, row in stages.iterrows():
        rate = f", {row['items_per_second']:,.1f} {row['unit']}/s" if row["items"] else ""
        axis.annotate(
            f" {row['seconds']:,.1f} s{rate}", (row["seconds"], place), va="center", fontsize=9
        )
    axis.set_yticks(stages.index, stages["stage"])
    axis.set_ylim(max(1, len(stages)) - 0.4, -0.6)
    axis.margins(x=0.25)
    axis.set_xlim(left=0)
    axis.set_xlabel("seconds in which at least one job of the stage was running")
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: Path | str) -> None:
    with atomic(path) as partial:
        figure.savefig(partial, metadata={"Software": None})
