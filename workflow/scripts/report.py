"""Put tables, pictures and the page together."""

from facefill_stage import stage

with stage(snakemake) as work:
    from facefill.report.write import Choice, write_report

    params, outputs = snakemake.params, dict(snakemake.output.items())
    inputs = dict(snakemake.input.items()) | {"template": params.template}
    work.items = write_report(inputs, outputs, Choice.of(params))
    work.unit = "completions"
