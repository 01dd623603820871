"""Rule download: an archive and its extras -> raw/."""

from stage import stage

with stage(snakemake) as work:
    from facefill.download import download

    work.items = download(
        snakemake.params.urls,
        snakemake.params.sha256,
        snakemake.params.extras,
        snakemake.params.cache,
        snakemake.output.raw,
    )
    work.unit = "files"
