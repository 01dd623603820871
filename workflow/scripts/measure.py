"""Measure the completions of one mask by one method."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from facefill.measure import measure

    inputs, outputs = dict(snakemake.input.items()), dict(snakemake.output.items())
    mask, zoom = snakemake.params.mask, snakemake.params.zoom
    work.items, work.unit = measure(**inputs, **outputs, mask=mask, zoom=zoom), "faces"
