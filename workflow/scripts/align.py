"""Align the photos of one shard."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from pathlib import Path

    import cv2

    from facefill.align import Aligner, align_shard

    params, settings = snakemake.params, snakemake.params.settings
    cv2.setNumThreads(1)  # the shards run in parallel, one process each
    archive, table = Path(snakemake.output.zip), Path(snakemake.output.csv)
    for old in archive.parent.glob("shard-*-of-*"):
        if not old.stem.endswith(f"-of-{settings['shards']}"):
            old.unlink(missing_ok=True)  # another shard may have been faster
    given = settings | {"predictor": params.predictor}
    aligner = Aligner(**{key: given[key] for key in given if key != "shards"})
    work.items = align_shard(
        aligner,
        Path(params.root),
        params.shard,
        settings["shards"],
        archive,
        table,
        index=snakemake.input.index or None,
        content=params.digest,
        listings=params.listings and Path(params.listings),
    )
    work.unit = "photos"
