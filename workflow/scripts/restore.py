"""Restore the photographs of one set."""

from facefill_stage import contents, stage

with stage(snakemake) as work:
    import os
    import shutil
    from pathlib import Path

    from facefill.align import Aligner
    from facefill.core.files import sha256_text
    from facefill.parts import make_part
    from facefill.restore.restore import restore_set
    from facefill.restore.restorer import Settings
    from facefill.split import read_split

    source, params = snakemake.input, snakemake.params
    content = params.content
    methods = {
        method: make_part(
            method, params.methods, lambda model: tuple(map(Path, source[f"model_{model}"]))
        )
        for method in content["method"]
    }
    if any(each.has_models for each in methods.values()):
        from facefill.core.device import use_threads

        use_threads(params.threads)
    settings = Settings(
        hole=content["hole"],
        mask=params.mask,
        format=content["format"],
        grain=content["grain"],
        methods=methods,
        zoom=params.align["zoom"],
        seed=params.seed,
        device=params.device,
        train=read_split(*source.train)[1] if source.get("train") else None,
    )
    align = params.align | {"predictor": params.predictor}
    # All that decides what becomes of a photograph, beside itself. The user's table of faces
    # decides only of the photographs that it names.
    decisive = [
        params.code,
        {key: value for key, value in content.items() if key != "faces"},
        params.align,
        params.method_contents,
        params.shape,
        [params.seed, params.device, params.threads],
        [(name, contents(files)) for name, files in source.items()],
    ]
    if "FACEFILL_FORCED" in os.environ:  # what is kept does not count
        shutil.rmtree(params.kept, ignore_errors=True)
    work.items = restore_set(
        Path(params.root),
        params.digest,
        Path(params.table) if params.table else None,
        settings,
        Aligner(**{key: align[key] for key in align if key != "shards"}),
        title=f"Restored photographs: {snakemake.wildcards.set}",
        folder=Path(snakemake.output.index).parent,
        templates=Path(params.templates),
        kept=Path(params.kept),
        key=sha256_text(repr(decisive)),
    )
    work.unit = "photos"
