"""Measure the completions of one mask by one method."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from facefill.measure import measure

    inputs, outputs = dict(snakemake.input.items()), dict(snakemake.output.items())
    settings = {key: snakemake.params[key] for key in ("mask", "zoom", "predictor", "mean_first")}
    work.items, work.unit = measure(**inputs, **outputs, **settings), "faces"
