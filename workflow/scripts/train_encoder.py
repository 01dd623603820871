"""Train one encoder on the train split and the samples of its generator."""

from stage import stage

with stage(snakemake) as work:
    import hashlib
    from pathlib import Path

    import torch

    from facefill.files import copy_folder, sha256_file, write_table
    from facefill.split import choose_faces, read_split
    from facefill.train import checkpoint, encoder, weights
    from facefill.train.pictures import write_encoder_losses, write_samples

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    # What determines the result beside the settings: a checkpoint of other data or code is foreign.
    files = [source.faces, source.validation, source.weights, source.settings, *source.code]
    inputs = [sha256_file(path) for path in files]
    workdir = Path(params.checkpoints)
    trained = encoder.train(
        read_split(source.faces, source.table)[1],
        choose_faces(source.validation, source.validation_table, encoder.VALIDATION_FACES)[1],
        params.zoom,
        Path(source.weights),
        Path(source.settings),
        encoder.Settings.of(params.settings),
        params.seed,
        params.device,
        workdir,
        hashlib.sha256("".join(inputs).encode()).hexdigest(),
    )
    write_table(output.history, trained.history)
    write_encoder_losses(output.losses, trained.history)
    write_samples(output.samples, output.samples_gif, trained.samples, len(trained.history))
    copy_folder(trained.events, output.events)
    settings = params.settings | {
        "device": trained.compute,
        "generator_sha256": sha256_file(source.weights),
        "seed": params.seed,
        "torch": torch.__version__,
    }
    weights.save(
        Path(output.weights), Path(output.settings), {"encoder": trained.encoder}, settings
    )
    checkpoint.discard(workdir)
    work.items, work.unit = trained.images, "images"
