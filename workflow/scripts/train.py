"""Train one model on the train split."""

from facefill_stage import stage

with stage(snakemake, keep=True, scratch=snakemake.params.checkpoints) as work:
    import hashlib

    from facefill.bundle.seen import refuse_seen
    from facefill.core.files import sha256_file
    from facefill.kinds import kind_of
    from facefill.train.job import Job, carry_out
    from facefill.train.launch import by_team, processes_for

    source, params = snakemake.input, snakemake.params
    validation = source.validation, source.validation_table
    named = kind_of("models", params.settings).references("models")
    models = {name: tuple(source.get(name)) for name in named if source.get(name)}
    # What decides the result beside settings, zoom and seed: the data, the models and the code.
    files = [source.faces, *validation, *(file for pair in models.values() for file in pair)]
    start = source.get("start")
    if start:
        refuse_seen(start, source.index, source.test_table)
        files.append(start)
    content = [*map(sha256_file, files), params.code]
    job = Job(
        settings=params.settings,
        train=(source.faces, source.table),
        validation=validation,
        models=models,
        start=start,
        zoom=params.zoom,
        seed=params.seed,
        device=params.device,
        threads=params.threads,
        checkpoints=params.checkpoints,
        fingerprint=hashlib.sha256("".join(content).encode()).hexdigest(),
        output=dict(snakemake.output.items()),
    )
    granted = int(snakemake.resources.get("gpu", 0))
    processes = processes_for(job, granted, snakemake.wildcards.model)
    work.items = carry_out(job) if processes == 1 else by_team(job, processes)
    work.unit = "images"
