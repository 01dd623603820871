"""Complete the test faces under one mask by searching one model's z."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    import numpy as np

    from facefill.core.blend import blend
    from facefill.complete import GIF_FACES, fill, masked, read_face, write_completions, write_grid, write_progress
    from facefill.methods.latent.search import search
    from facefill.core.device import use_threads
    from facefill.core.files import write_array, write_table
    from facefill.core.masking import make_masks, observe
    from facefill.split import choose, choose_faces

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    use_threads(params.threads)
    names, faces = choose_faces(Path(source.npy), Path(source.csv), params.faces)
    masks = make_masks(params.mask, names, faces.shape[1], params.zoom)
    # From here on nothing knows the hidden pixels but the sheets that are to be looked at.
    observed = observe(faces, masks)
    watched = choose(names, GIF_FACES)  # the same for every method
    target = None
    if source.target:
        files = [Path(source.target, f"{name}.png") for name in names]
        target = np.stack([read_face(file, faces.shape[1]) for file in files])
    found = search(
        names,
        observed,
        masks,
        Path(source.weights),
        Path(source.settings),
        tuple(map(Path, source.encoder)) or None,
        target,
        params.method,
        params.seed,
        params.device,
        watched,
    )
    samples = np.stack(
        [
            blend(params.method["blend"], observed, masks.known, filled)
            for filled in found.filled.swapaxes(0, 1)
        ],
        axis=1,
    )
    completed = samples[:, 0]
    write_table(output.search, found.losses, float_format="%.5f")
    write_array(output.z, found.z)
    write_array(output.samples, samples)
    shown = masked(observed, masks)
    frames = [fill(observed[watched], masks.known[watched], frame) for frame in found.frames]
    frames.append(completed[watched])  # blended
    write_progress(Path(output.progress), faces[watched], shown[watched], frames)
    write_completions(Path(output.faces), names, completed)
    write_grid(Path(output.grid), names, faces, shown, completed)
    work.items, work.unit, work.course = len(names), "faces", found.course
