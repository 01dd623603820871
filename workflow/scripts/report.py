"""Put tables, pictures and the page together."""

from facefill_stage import stage

with stage(snakemake) as work:
    from dataclasses import replace

    from facefill.report.write import Choice, write_report

    params, outputs = snakemake.params, dict(snakemake.output.items())
    inputs = dict(snakemake.input.items()) | {"template": params.template}
    choice = Choice.of(params)
    if snakemake.input.timings:  # without a shared file system they are inputs
        choice = replace(choice, timings=snakemake.input.timings)
    work.items = write_report(inputs, outputs, choice)
    work.unit = "completions"
