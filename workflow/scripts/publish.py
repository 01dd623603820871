"""Write a report's figures as Markdown."""

from stage import stage

with stage(snakemake) as work:
    from facefill.report.publish import publish

    source, params = snakemake.input, snakemake.params
    publish(
        snakemake.output[0],
        dataset=params.dataset,
        summary=source.summary,
        differences=source.differences,
        timings=source.timings,
        model_metrics=source.model_metrics,
        provenance=source.provenance,
        searches=dict(zip(map(tuple, params.searched), source.searches, strict=True)),
        jobs=params.timings,
        template=source.template,
        command=params.command,
    )
