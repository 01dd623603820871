"""Put tables, pictures and the page together."""

from stage import stage

with stage(snakemake) as work:
    from facefill.report.write import Choice, write_report

    inputs, outputs = dict(snakemake.input.items()), dict(snakemake.output.items())
    work.items = write_report(inputs, outputs, Choice.of(snakemake.params))
    work.unit = "completions"
