"""Write a report's figures as Markdown."""

from stage import stage

with stage(snakemake) as work:
    from facefill.report.publish import publish

    source = snakemake.input
    publish(
        dataset=snakemake.params.dataset,
        summary=source.summary,
        differences=source.differences,
        timings=source.timings,
        provenance=source.provenance,
        template=source.template,
        command=snakemake.params.command,
        page=snakemake.output[0],
    )
