"""Find how wide the bands of a method's samples must be, by completing validation faces."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from pathlib import Path

    from facefill.calibrate import calibrate
    from facefill.kinds import make
    from facefill.parts import Part

    source, params = snakemake.input, snakemake.params

    def part(settings, targets, prefix=""):
        """A method with its models, whose inputs are called `prefix` and a setting."""
        # How many faces and which masks a method completes does not concern a job.
        method = make("methods", {"faces": None, "masks": None} | settings)
        files = {name: source[prefix + name] for name in method.references("models")}
        models = {name: tuple(map(Path, of)) for name, of in files.items() if of}
        return Part(method, models, targets)

    targets = {name: part(settings, {}, f"{name}_") for name, settings in params.targets.items()}
    method = part(params.method, targets)
    if method.has_models:
        from facefill.core.device import use_threads

        use_threads(params.threads)
    work.items = calibrate(
        val_npy=source.npy,
        val_csv=source.csv,
        faces=params.faces,
        mask=params.mask,
        zoom=params.zoom,
        part=method,
        train=tuple(source.train) if source.get("train") else None,
        seed=params.seed,
        device=params.device,
        calibration=snakemake.output[0],
    )
    work.unit = "faces"
