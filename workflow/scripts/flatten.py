"""Bring the shards of aligned faces together in one folder, with a manifest."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.flatten import flatten

    work.items = flatten(
        Path(snakemake.input.index),
        [Path(table) for table in snakemake.input.tables],
        [Path(archive) for archive in snakemake.input.archives],
        Path(snakemake.output.faces),
        Path(snakemake.output.manifest),
        Path(snakemake.output.geometry),
        Path(snakemake.output.sheet),
    )
    work.unit = "faces"
