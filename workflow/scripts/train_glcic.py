"""Train one completion network on the train split."""

from stage import stage

with stage(snakemake) as work:
    import hashlib
    from pathlib import Path

    from facefill.core.device import use_threads
    from facefill.core.files import sha256_file
    from facefill.split import choose_faces, read_split
    from facefill.models.glcic import training as glcic
    from facefill.train.pictures import write_completion_losses
    from trained import write

    source, params = snakemake.input, snakemake.params
    use_threads(params.threads)
    # What determines the result beside the settings: a checkpoint of other data or code is foreign.
    files = [source.faces, source.validation, source.validation_table, *source.code]
    inputs = [sha256_file(path) for path in files]
    trained = glcic.train(
        read_split(source.faces, source.table)[1],
        choose_faces(source.validation, source.validation_table, glcic.VALIDATION_FACES)[1],
        params.zoom,
        glcic.Settings.of(params.settings),
        params.seed,
        params.device,
        Path(params.checkpoints),
        hashlib.sha256("".join(inputs).encode()).hexdigest(),
    )
    write(snakemake, work, trained, write_completion_losses, {"warnings": trained.warnings})
