"""Write a report's figures as Markdown."""

from facefill_stage import stage

with stage(snakemake) as work:
    from facefill.report.publish import publish

    params = snakemake.params
    publish(
        snakemake.output[0],
        dict(snakemake.input.items()) | {"template": params.template},
        dataset=params.dataset,
        searched=params.searched,
        jobs=snakemake.input.jobs or params.timings,
        command=params.command,
    )
