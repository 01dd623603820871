"""The pictures of a training: its samples, and what the kinds' plots of losses share."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from facefill.core.files import atomic
from facefill.core.images import write_gif, write_png

matplotlib.use("Agg")
import matplotlib.pyplot as plt

GIF_FRAMES = 60


def write_samples(png: Path, gif: Path, sheets: list[np.ndarray], epoch: int) -> None:
    """Write the contact sheet after `epoch` as PNG, and all sheets as a GIF of at most 61 frames.

    `sheets` are uint8 [height, width, 3]: before the training, then after every epoch.
    """
    write_png(png, sheets[epoch])
    chosen = np.unique(np.linspace(0, len(sheets) - 1, GIF_FRAMES + 1).round().astype(int))
    write_gif(gif, np.stack([sheets[number] for number in chosen]), 0.15)


def panels(count: int) -> tuple[plt.Figure, list[plt.Axes]]:
    """A figure of `count` plots in a row."""
    return plt.subplots(1, count, figsize=(4 * count, 3.4), dpi=100)


def marker(history: pd.DataFrame, enough: int = 3) -> str | None:
    """Dots for a history of fewer epochs than `enough`: a line needs two points."""
    return "o" if len(history) < enough else None


def save_figure(figure: plt.Figure, path: Path) -> None:
    """Write a figure as PNG, without matplotlib's version in it, and close it."""
    figure.tight_layout()
    with atomic(path) as partial:
        figure.savefig(partial, metadata={"Software": None})
    plt.close(figure)
