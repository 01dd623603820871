"""Align the photos of one shard."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    import cv2

    from facefill.align import Aligner, align_shard

    params, settings = snakemake.params, snakemake.params.settings
    cv2.setNumThreads(1)  # the shards run in parallel, one process each
    archive, table = Path(snakemake.output.zip), Path(snakemake.output.csv)
    for old in archive.parent.glob("shard-*-of-*"):
        if not old.stem.endswith(f"-of-{settings['shards']}"):
            old.unlink(missing_ok=True)  # another shard may have been faster
    aligner = Aligner(**{key: settings[key] for key in settings if key != "shards"})
    work.items = align_shard(
        aligner,
        Path(params.root),
        params.shard,
        settings["shards"],
        archive,
        table,
        index=snakemake.input.index or None,
        content=params.digest,
    )
    work.unit = "photos"
