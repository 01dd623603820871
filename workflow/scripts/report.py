"""Put tables, pictures and the page together."""

from stage import stage

with stage(snakemake) as work:
    from facefill.report.write import Choice, Inputs, Outputs, write_report

    work.unit = "completions"
    work.items = write_report(
        Inputs.of(snakemake.input),
        Outputs.of(snakemake.output),
        Choice.of(snakemake.params),
    )
