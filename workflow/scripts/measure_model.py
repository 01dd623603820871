"""Measure how like the validation faces the samples of one generator are."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from facefill.core.device import use_threads
    from facefill.measure_model import measure_model

    params = snakemake.params
    use_threads(snakemake.threads)
    work.unit = "samples"
    work.items = measure_model(
        **dict(snakemake.input.items()),
        zoom=params.zoom,
        seed=params.seed,
        device=params.device,
        set_metrics=snakemake.output[0],
    )
