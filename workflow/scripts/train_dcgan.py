"""Train one DCGAN on the train split."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import torch

from facefill.files import sha256_file, write_table
from facefill.train import dcgan, weights
from facefill.train.pictures import write_losses, write_samples
from stage import stage

with stage(snakemake) as work:
    params, output = snakemake.params, snakemake.output
    # What determines the result beside the settings: a checkpoint of other data or code is foreign.
    inputs = [sha256_file(path) for path in [snakemake.input.faces, *snakemake.input.code]]
    workdir = Path(params.checkpoints)
    trained = dcgan.train(
        np.load(snakemake.input.faces),
        dcgan.Settings.of(params.settings),
        params.seed,
        params.device,
        workdir,
        hashlib.sha256("".join(inputs).encode()).hexdigest(),
    )
    networks = {"generator": trained.generator, "discriminator": trained.discriminator}
    weights.save(Path(output.weights), networks)
    facts = {
        "device": trained.compute,
        "seed": params.seed,
        "torch": torch.__version__,
        "warnings": trained.warnings,
    }
    weights.save_settings(Path(output.settings), params.settings | facts)
    write_table(output.history, trained.history)
    write_losses(output.losses, trained.history)
    write_samples(output.samples, output.samples_gif, trained.samples)
    shutil.copytree(trained.events, output.events, dirs_exist_ok=True)
    dcgan.discard(workdir)
    work.items, work.unit = trained.images, "images"
