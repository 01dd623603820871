"""Train one model on the train split."""

from facefill_stage import stage

with stage(snakemake, keep=True, scratch=snakemake.params.checkpoints) as work:
    import hashlib
    from pathlib import Path

    import torch

    from facefill.core.device import use_threads
    from facefill.core.files import copy_folder, sha256_file, write_table
    from facefill.kinds import make
    from facefill.split import choose_faces, read_split
    from facefill.train import weights
    from facefill.train.pictures import write_plots, write_samples
    from facefill.train.task import Training

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    use_threads(params.threads)
    model = make("models", {"seeds": None} | params.settings)  # one job, one seed
    validation = source.validation, source.validation_table
    named = {name: source.get(name) for name in model.references("models")}
    models = {name: tuple(map(Path, files)) for name, files in named.items() if files}
    # What decides the result beside settings, zoom and seed: the data, the models and the code.
    files = [source.faces, *validation, *(file for pair in models.values() for file in pair)]
    content = [*map(sha256_file, files), params.code]
    trained = model.train(
        Training(
            faces=read_split(source.faces, source.table)[1],
            validation_faces=choose_faces(*validation, model.validation_faces)[1],
            zoom=params.zoom,
            models=models,
            seed=params.seed,
            device=params.device,
            checkpoints=Path(params.checkpoints),
            fingerprint=hashlib.sha256("".join(content).encode()).hexdigest(),
        )
    )
    write_table(output.history, trained.history)
    write_plots(output.losses, trained.history, model.plots, trained.drawings)
    write_samples(output.samples, output.samples_gif, trained.samples, trained.epoch)
    copy_folder(trained.events, output.events)
    settings = params.settings | trained.facts
    settings |= {"device": trained.compute, "threads": torch.get_num_threads()}
    settings |= {"seed": params.seed, "torch": torch.__version__}
    # The weights last: where they are, the training has ended well.
    weights.save(Path(output.weights), Path(output.settings), trained.networks, settings)
    work.items, work.unit = trained.images, "images"
