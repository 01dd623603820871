"""Find how wide the bands of a method's samples must be, by completing validation faces."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from pathlib import Path

    from facefill.calibrate import calibrate
    from facefill.parts import make_part

    source, params = snakemake.input, snakemake.params
    part = make_part(
        snakemake.wildcards.method,
        params.methods,
        lambda model: tuple(map(Path, source[f"model_{model}"])),
    )
    if part.has_models:
        from facefill.core.device import use_threads

        use_threads(params.threads)
    work.items = calibrate(
        val_npy=source.npy,
        val_csv=source.csv,
        faces=params.faces,
        mask=params.mask,
        zoom=params.zoom,
        part=part,
        train=tuple(source.train) if source.get("train") else None,
        seed=params.seed,
        device=params.device,
        calibration=snakemake.output[0],
    )
    work.unit = "faces"
