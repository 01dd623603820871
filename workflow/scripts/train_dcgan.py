"""Train one DCGAN on the train split."""

from stage import stage

with stage(snakemake) as work:
    import hashlib
    from pathlib import Path

    import torch

    from facefill.files import copy_folder, sha256_file, write_table
    from facefill.split import choose_faces, read_split
    from facefill.train import checkpoint, dcgan, weights
    from facefill.train.pictures import write_losses, write_samples

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    # What determines the result beside the settings: a checkpoint of other data or code is foreign.
    inputs = [sha256_file(path) for path in [source.faces, source.validation, *source.code]]
    workdir = Path(params.checkpoints)
    trained = dcgan.train(
        read_split(source.faces, source.table)[1],
        choose_faces(
            source.validation, source.validation_table, params.settings["validation_faces"]
        )[1],
        params.zoom,
        dcgan.Settings.of(params.settings),
        params.seed,
        params.device,
        workdir,
        hashlib.sha256("".join(inputs).encode()).hexdigest(),
    )
    write_table(output.history, trained.history)
    write_losses(output.losses, trained.history)
    write_samples(output.samples, output.samples_gif, trained.samples, trained.epoch)
    copy_folder(trained.events, output.events)
    settings = params.settings | {
        "device": trained.compute,
        "seed": params.seed,
        "torch": torch.__version__,
        "warnings": trained.warnings,
    }
    networks = {"generator": trained.generator, "discriminator": trained.discriminator}
    weights.save(Path(output.weights), Path(output.settings), networks, settings)
    checkpoint.discard(workdir)
    work.items, work.unit = trained.images, "images"
