"""Bring the shards of aligned faces together in one folder, with a manifest."""

from facefill_stage import stage

with stage(snakemake) as work:
    from facefill.flatten import flatten

    work.items = flatten(**dict(snakemake.input.items()), **dict(snakemake.output.items()))
    work.unit = "faces"
