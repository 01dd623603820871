"""Take over the faces, the models or the training split of another data set, or of a bundle."""

from facefill_stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    source, outputs, params = snakemake.input, dict(snakemake.output.items()), snakemake.params
    if source.get("bundle"):
        from facefill.bundle.read import open_bundle
        from facefill.kinds import make
        from facefill.transfer import take_model, take_training

        bundle, transfer = open_bundle(source.bundle), make("datasets", params.transfer)
        key = f"datasets.{snakemake.wildcards.dataset}"
        transfer.check_bundle(key, bundle.contents, params.align)
        if model := snakemake.wildcards.get("model"):
            transfer.check_model(key, bundle.contents, model, params.kind)
            take_model(bundle, model, outputs)
        else:
            take_training(bundle, outputs)
    else:
        from facefill.core.kept import link

        for name, path in outputs.items():
            link(Path(source[name]), Path(path))
    work.items, work.unit = len(outputs), "files"
