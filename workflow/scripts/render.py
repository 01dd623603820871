"""Render the photos of a synthetic dataset, on every core the rule was given."""

from pathlib import Path

from facefill.render.dataset import render_dataset
from stage import stage

with stage(snakemake) as work:
    params, output = snakemake.params, snakemake.output
    work.items = render_dataset(
        Path(output.raw),
        Path(output.truth),
        params.faces,
        params.people,
        params.seed,
        snakemake.threads,
    )
    work.unit = "photos"
