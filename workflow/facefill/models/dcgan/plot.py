"""losses.png of a DCGAN."""

from pathlib import Path

import pandas as pd

from facefill.train.pictures import marker, panels, save_figure


def draw_losses(path: Path, history: pd.DataFrame) -> None:
    """Plot losses, D's verdicts and the samples' diversity over epochs."""
    figure, (losses, verdicts, diversity) = panels(3)
    dots = marker(history)
    losses.plot(history["epoch"], history["d_loss"], label="D", marker=dots)
    losses.plot(history["epoch"], history["g_loss"], label="G", marker=dots)
    losses.set(title="loss", xlabel="epoch", ylim=(0, None))
    losses.legend()
    verdicts.plot(history["epoch"], history["d_real"], label="real faces", marker=dots)
    verdicts.plot(history["epoch"], history["d_fake"], label="samples", marker=dots)
    verdicts.set(title="D's probability of being real", xlabel="epoch", ylim=(0, 1))
    verdicts.legend()
    diversity.plot(history["epoch"], history["diversity"], marker=dots)
    diversity.axhline(1, color="grey", linestyle=":")
    diversity.set(title="variety of samples (real faces = 1)", xlabel="epoch", ylim=(0, None))
    save_figure(figure, path)
