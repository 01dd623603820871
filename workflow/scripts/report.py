"""Put tables, pictures and the page together."""

from stage import stage

with stage(snakemake) as work:
    from facefill.report.write import Choice, Products, Sources, write_report

    work.unit = "completions"
    work.items = write_report(
        Sources.of(snakemake.input),
        Products.of(snakemake.output),
        Choice.of(snakemake.params),
    )
