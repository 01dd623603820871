"""Render the photos of a synthetic dataset, on every core the rule was given."""

from stage import stage

if __name__ == "__main__":  # worker processes may import this file anew
    with stage(snakemake) as work:
        from pathlib import Path

        from facefill.render.dataset import render_dataset

        settings, output = snakemake.params.settings, snakemake.output
        work.items = render_dataset(
            Path(output.raw),
            Path(output.truth),
            settings["faces"],
            settings["people"],
            settings["seed"],
            snakemake.threads,
        )
        work.unit = "photos"
