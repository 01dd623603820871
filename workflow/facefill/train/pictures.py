"""The pictures of a training: its samples, and the plots of its losses."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facefill.core.figures import pyplot as plt
from facefill.core.files import atomic
from facefill.core.images import write_gif, write_png
from facefill.models import Plot

GIF_FRAMES = 60


def write_samples(png: Path, gif: Path, sheets: list[np.ndarray], epoch: int) -> None:
    """Write the contact sheet after `epoch` as PNG, and all sheets as a GIF of at most 61 frames.

    `sheets` are uint8 [height, width, 3]: before the training, then after every epoch.
    """
    write_png(png, sheets[epoch])
    chosen = np.unique(np.linspace(0, len(sheets) - 1, GIF_FRAMES + 1).round().astype(int))
    write_gif(gif, np.stack([sheets[number] for number in chosen]), 0.15)


def write_plots(
    path: Path | str,
    history: pd.DataFrame,
    plots: Sequence[Plot],
    drawings: Sequence[Callable[[Any], None]] = (),
) -> None:
    """Write `drawings` and `plots` of history.csv in a row as PNG; the phases are shaded."""
    count = len(drawings) + len(plots)
    figure, axes = plt.subplots(1, count, figsize=(4 * count, 3.4), dpi=100, squeeze=False)
    phased = "phase" in history
    # Dots, too, where epochs are few: a line needs two, in each phase.
    marker = "o" if len(history) < (9 if phased else 3) else None
    for axis, draw in zip(axes[0], drawings, strict=False):
        draw(axis)
    for axis, plot in zip(axes[0, len(drawings) :], plots, strict=True):
        for name, label in plot.lines.items():
            axis.plot(history[plot.x], history[name], label=label or None, marker=marker)
        if any(plot.lines.values()):
            axis.legend()
        if plot.level is not None:
            axis.axhline(plot.level, color="grey", linestyle=":")
        axis.set(title=plot.title, xlabel=plot.x, **{"ylim": plot.limits} if plot.limits else {})
        for phase, epochs in history.groupby("phase")["epoch"] if phased else ():
            first, last = epochs.min() - 0.5, epochs.max() + 0.5
            axis.axvspan(first, last, color="C7", alpha=0.1 * (phase % 2), linewidth=0)
            axis.text(
                (first + last) / 2, 0.98, f"{phase:.0f}", color="grey", ha="center", va="top",
                transform=axis.get_xaxis_transform(),
            )  # fmt: skip
    figure.tight_layout()
    with atomic(path) as partial:
        figure.savefig(partial, metadata={"Software": None})
    plt.close(figure)
