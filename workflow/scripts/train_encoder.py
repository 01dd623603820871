"""Train one encoder on the train split and the samples of its generator."""

from stage import stage

with stage(snakemake) as work:
    import hashlib
    from pathlib import Path

    from facefill.core.device import use_threads
    from facefill.core.files import sha256_file
    from facefill.split import choose_faces, read_split
    from facefill.models.encoder import training as encoder
    from facefill.train.pictures import write_encoder_losses
    from trained import write

    source, params = snakemake.input, snakemake.params
    use_threads(params.threads)
    # What determines the result beside the settings: a checkpoint of other data or code is foreign.
    files = [source.faces, source.validation, source.validation_table]
    files += [source.weights, source.settings, *source.code]
    inputs = [sha256_file(path) for path in files]
    trained = encoder.train(
        read_split(source.faces, source.table)[1],
        choose_faces(source.validation, source.validation_table, encoder.VALIDATION_FACES)[1],
        params.zoom,
        Path(source.weights),
        Path(source.settings),
        encoder.Settings.of(params.settings),
        params.seed,
        params.device,
        Path(params.checkpoints),
        hashlib.sha256("".join(inputs).encode()).hexdigest(),
    )
    made_for = {"generator_sha256": sha256_file(source.weights)}
    write(snakemake, work, trained, write_encoder_losses, made_for)
