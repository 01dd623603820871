"""Put into one file what completes without training."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from pathlib import Path

    from facefill.bundle.assemble import make_bundle
    from facefill.bundle.halve import Trial
    from facefill.core.device import use_threads

    source, params = snakemake.input, snakemake.params
    use_threads(params.threads)
    trial = Trial.of(
        val=(source.val_npy, source.val_csv),
        train=(source.train_npy, source.train_csv),
        masks=params.masks,
        zoom=params.zoom,
        methods=params.methods,
        pairs=[tuple(pair) for pair in params.pairs],
        seed=params.seed,
        device=params.device,
    )
    work.items = make_bundle(
        snakemake.output[0],
        models={
            name: Path(file).parent
            for name, file in zip(params.models, source.weights, strict=True)
        },
        trial=trial,
        facts=params.facts,
        splits={name: source[f"{name}_csv"] for name in ("train", "val", "test")},
        train_npy=source.train_npy,
        index=source.index,
        starts=source.get("starts", []),
        summary=source.summary,
        template=params.template,
        licence=params.licence,
    )
    work.unit = "models"
