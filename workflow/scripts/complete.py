"""Complete the test faces under one mask by one method."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    from pathlib import Path

    import numpy as np

    from facefill.complete import Task, read_face, write
    from facefill.core.masking import make_masks, observe
    from facefill.kinds import make
    from facefill.split import choose_faces, read_split

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    # How many faces and which masks a method completes does not concern a job.
    method = make("methods", {"faces": None, "masks": None} | params.method)
    if method.references("models"):
        from facefill.core.device import use_threads

        use_threads(params.threads)
    names, faces = choose_faces(Path(source.npy), Path(source.csv), params.faces)
    size = faces.shape[1]
    make("masks", params.mask).check_names(names)
    masks = make_masks(params.mask, names, size, params.zoom)
    models = {name: tuple(map(Path, source[name])) for name in method.references("models")}
    targets = {name: source[name] for name in method.references("methods")}
    task = Task(
        names=names,
        # From here on only the sheets that people look at show hidden pixels.
        observed=observe(faces, masks),
        masks=masks,
        models={name: files for name, files in models.items() if files},
        targets={
            name: np.stack([read_face(Path(folder, f"{face}.png"), size) for face in names])
            for name, folder in targets.items()
            if folder
        },
        train=read_split(*source.train)[1] if method.needs_train else None,
        seed=params.seed,
        device=params.device,
    )
    result = method.complete(task)
    extra = dict(zip(method.extra, output.extra, strict=True))
    files = {"faces": output.faces, "grid": output.grid} | extra
    write(result, task, faces, {name: Path(file) for name, file in files.items()})
    work.items, work.unit, work.course = len(names), "faces", result.course
    work.seconds = result.seconds
