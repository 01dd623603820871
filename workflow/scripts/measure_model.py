"""Measure how like the validation faces the samples of one generator are."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.core.device import use_threads
    from facefill.measure_model import measure_model

    source, params = snakemake.input, snakemake.params
    use_threads(snakemake.threads)
    work.unit = "samples"
    work.items = measure_model(
        Path(source.faces),
        Path(source.table),
        Path(source.descriptors),
        Path(source.weights),
        Path(source.settings),
        params.zoom,
        params.seed,
        params.device,
        snakemake.output[0],
    )
