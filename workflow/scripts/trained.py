"""What the scripts of all trainings do at their end."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from facefill.core.files import copy_folder, write_table
from facefill.train import checkpoint, weights
from facefill.train.pictures import write_samples
from facefill.train.run import Trained
from stage import Work

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake as Snakemake


def write(
    snakemake: "Snakemake",
    work: Work,
    trained: Trained,
    write_losses: Callable[[Path, pd.DataFrame], None],
    more_settings: dict[str, Any],
) -> None:
    """Write a model's files, the weights last; then its checkpoints are no longer needed."""
    params, output = snakemake.params, snakemake.output
    write_table(output.history, trained.history)
    write_losses(output.losses, trained.history)
    write_samples(output.samples, output.samples_gif, trained.samples, trained.epoch)
    copy_folder(trained.events, output.events)
    settings = params.settings | more_settings
    settings |= {"device": trained.compute, "threads": torch.get_num_threads()}
    settings |= {"seed": params.seed, "torch": torch.__version__}
    weights.save(Path(output.weights), Path(output.settings), trained.networks, settings)
    checkpoint.discard(Path(params.checkpoints))
    work.items, work.unit = trained.images, "images"
