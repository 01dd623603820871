"""Describe the true faces of one split, once for all that is compared with them."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from facefill.describe import describe

    params, outputs = snakemake.params, dict(snakemake.output.items())
    settings = {"zoom": params.zoom, "predictor": params.predictor, "count": params.faces}
    work.items, work.unit = describe(**dict(snakemake.input.items()), **outputs, **settings), "faces"
