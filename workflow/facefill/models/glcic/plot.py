"""losses.png of a completion network."""

from pathlib import Path

import pandas as pd

from facefill.train.pictures import marker, panels, save_figure

# Title of each plot, and the columns of history.csv that it shows, with their labels.
PLOTS = [
    ("reconstruction loss", {"reconstruction": None}),
    ("adversarial losses", {"d_loss": "D", "g_loss": "completion network"}),
    (
        "D's probability of being real",
        {"d_real": "real faces", "d_fake": "completed", "d_accuracy": "right (validation)"},
    ),
    ("PSNR of the hole [dB], validation", {"val_hole_psnr": None}),
]


def draw_losses(path: Path, history: pd.DataFrame) -> None:
    """Plot losses, D's judgement and the validation over epochs, the phases shaded."""
    figure, axes = panels(len(PLOTS))
    dots = marker(history, 9)  # a phase needs two epochs for a line
    for place, (title, lines) in zip(axes, PLOTS, strict=True):
        for name, label in lines.items():
            place.plot(history["epoch"], history[name], label=label, marker=dots)
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
    save_figure(figure, path)
