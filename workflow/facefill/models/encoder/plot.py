"""losses.png of an encoder."""

from pathlib import Path

import pandas as pd

from facefill.train.pictures import marker, panels, save_figure


def draw_losses(path: Path, history: pd.DataFrame) -> None:
    """Plot the terms of the loss, and the PSNR of the holes of validation faces, over epochs."""
    figure, (losses, quality) = panels(2)
    dots = marker(history)
    for name in ("pixels", "d_features", "z", "changes"):
        losses.plot(history["epoch"], history[name], label=name, marker=dots)
    losses.set(title="loss, term by term", xlabel="epoch", ylim=(0, None))
    losses.legend()
    quality.plot(history["epoch"], history["val_hole_psnr"], marker=dots)
    quality.set(title="PSNR of the hole [dB], validation", xlabel="epoch")
    save_figure(figure, path)
