"""Describe the true faces of one split, once for all that is compared with them."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from facefill.describe import describe

    source, params = snakemake.input, snakemake.params
    work.unit = "faces"
    work.items = describe(source.npy, source.csv, params.zoom, params.faces, snakemake.output[0])
