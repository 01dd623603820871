"""Describe the true faces of one split, once for all that is compared with them."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.describe import describe

    work.unit = "faces"
    work.items = describe(
        Path(snakemake.input.npy),
        Path(snakemake.input.csv),
        snakemake.params.zoom,
        snakemake.params.faces,
        snakemake.output[0],
    )
