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
        faces=Path(source.faces),
        table=Path(source.table),
        descriptors=Path(source.descriptors),
        weights=Path(source.weights),
        settings=Path(source.settings),
        zoom=params.zoom,
        seed=params.seed,
        device=params.device,
        set_metrics=snakemake.output[0],
    )
