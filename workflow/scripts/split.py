"""Divide the faces into training, validation and test."""

from facefill_stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.split import SPLITS, split

    settings, output = snakemake.params.settings, snakemake.output
    work.items = split(
        Path(snakemake.input.manifest),
        Path(snakemake.input.faces),
        **settings,
        arrays={name: Path(output[name]) for name in SPLITS},
        tables={name: Path(output[f"{name}_table"]) for name in SPLITS},
        near_duplicates=Path(output.near_duplicates),
    )
    work.unit = "faces"
