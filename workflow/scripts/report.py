"""Put tables, pictures and the page together."""

from facefill.report.write import Choice, Products, Sources, write_report
from stage import stage

with stage(snakemake) as work:
    work.unit = "completions"
    work.items = write_report(
        Sources.of(snakemake.input),
        Products.of(snakemake.output),
        Choice.of(snakemake.params),
    )
