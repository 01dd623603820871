"""What a person looks at after a training."""

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
    """Write the contact sheet after `epoch`, and all from before on as at most 61 frames."""
    write_png(png, sheets[epoch])
    chosen = np.unique(np.linspace(0, len(sheets) - 1, GIF_FRAMES + 1).round().astype(int))
    write_gif(gif, np.stack([sheets[number] for number in chosen]), 0.15)


def write_losses(path: Path, history: pd.DataFrame) -> None:
    """Plot losses, D's verdicts and the samples' diversity over epochs."""
    figure, (losses, verdicts, diversity) = plt.subplots(1, 3, figsize=(12, 3.4), dpi=100)
    marker = "o" if len(history) < 3 else None  # a line needs two points
    losses.plot(history["epoch"], history["d_loss"], label="D", marker=marker)
    losses.plot(history["epoch"], history["g_loss"], label="G", marker=marker)
    losses.set(title="loss", xlabel="epoch", ylim=(0, None))
    losses.legend()
    verdicts.plot(history["epoch"], history["d_real"], label="real faces", marker=marker)
    verdicts.plot(history["epoch"], history["d_fake"], label="samples", marker=marker)
    verdicts.set(title="D's probability of being real", xlabel="epoch", ylim=(0, 1))
    verdicts.legend()
    diversity.plot(history["epoch"], history["diversity"], marker=marker)
    diversity.axhline(1, color="grey", linestyle=":")
    diversity.set(title="variety of samples (real faces = 1)", xlabel="epoch", ylim=(0, None))
    _save(figure, path)


def write_encoder_losses(path: Path, history: pd.DataFrame) -> None:
    """Plot an encoder's losses, and how near its completions of validation faces come."""
    figure, (losses, quality) = plt.subplots(1, 2, figsize=(8, 3.4), dpi=100)
    marker = "o" if len(history) < 3 else None  # a line needs two points
    for name in ("pixels", "d_features", "z", "changes"):
        losses.plot(history["epoch"], history[name], label=name, marker=marker)
    losses.set(title="loss, term by term", xlabel="epoch", ylim=(0, None))
    losses.legend()
    quality.plot(history["epoch"], history["val_hole_psnr"], marker=marker)
    quality.set(title="PSNR of the hole [dB], validation", xlabel="epoch")
    _save(figure, path)


def write_completion_losses(path: Path, history: pd.DataFrame) -> None:
    """Plot a completion network's losses, D's judgement and the validation, phases shaded."""
    figure, axes = plt.subplots(1, 4, figsize=(16, 3.4), dpi=100)
    panels = [
        ("reconstruction loss", {"reconstruction": None}),
        ("adversarial losses", {"d_loss": "D", "g_loss": "completion network"}),
        (
            "D's probability of being real",
            {"d_real": "real faces", "d_fake": "completed", "d_accuracy": "right (validation)"},
        ),
        ("PSNR of the hole [dB], validation", {"val_hole_psnr": None}),
    ]
    marker = "o" if len(history) < 9 else None  # a line needs two points in its phase
    for place, (title, lines) in zip(axes, panels, strict=True):
        for name, label in lines.items():
            place.plot(history["epoch"], history[name], label=label, marker=marker)
        if any(lines.values()):
            place.legend()
        place.set(title=title, xlabel="epoch")
        for phase, epochs in history.groupby("phase")["epoch"]:
            first, last = epochs.min() - 0.5, epochs.max() + 0.5
            place.axvspan(first, last, color="C7", alpha=0.1 * (phase % 2), linewidth=0)
            place.text(
                (first + last) / 2, 0.98, f"{phase:.0f}", color="grey", ha="center", va="top",
                transform=place.get_xaxis_transform(),
            )  # fmt: skip
    axes[2].set(ylim=(0, 1))
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    with atomic(path) as partial:
        figure.savefig(partial, metadata={"Software": None})
    plt.close(figure)
