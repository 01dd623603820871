"""Make the raw photos of a data set."""

from facefill_stage import stage

if __name__ == "__main__":  # worker processes may import this file anew
    with stage(snakemake) as work:
        from pathlib import Path

        from facefill.kinds import make

        params, output = snakemake.params, snakemake.output
        dataset = make("datasets", params.settings)
        work.items = dataset.make_raw(
            Path(output.raw),
            extra=dict(zip(dataset.extra, map(Path, output.extra), strict=True)),
            cache=Path(params.cache),
            threads=snakemake.threads,
        )
        work.unit = "files"
