"""Describe the true faces of one split, once for all that is compared with them."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from facefill.describe import describe

    inputs, outputs = dict(snakemake.input.items()), dict(snakemake.output.items())
    params, work.unit = snakemake.params, "faces"
    settings = {"zoom": params.zoom, "predictor": params.predictor, "count": params.faces}
    work.items = describe(**inputs, **outputs, **settings)
