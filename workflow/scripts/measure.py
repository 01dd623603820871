"""Measure the completions of one mask by one method."""

from stage import stage

with stage(snakemake) as work:
    from facefill.measure import measure

    work.unit = "faces"
    work.items = measure(
        test_npy=snakemake.input.test_npy,
        test_csv=snakemake.input.test_csv,
        test_descriptors=snakemake.input.test_descriptors,
        faces=snakemake.input.faces,
        samples=snakemake.input.samples or None,
        mask=snakemake.params.mask,
        zoom=snakemake.params.zoom,
        metrics=snakemake.output.metrics,
        set_metrics=snakemake.output.set_metrics,
    )
