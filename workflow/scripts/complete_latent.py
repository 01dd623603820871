"""Complete the test faces under one mask by searching one model's z."""

from stage import stage

with stage(snakemake) as work:
    import io
    from pathlib import Path

    import numpy as np

    from facefill.complete.faces import (
        GIF_FACES,
        choose_faces,
        fill,
        spread,
        write_completions,
        write_progress,
    )
    from facefill.complete.latent import search
    from facefill.files import write_bytes, write_table
    from facefill.masks import make_mask

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    names, faces = choose_faces(Path(source.npy), Path(source.csv), params.faces)
    mask = make_mask(params.mask, faces.shape[1])
    watched = spread(len(faces), GIF_FACES)
    found = search(
        names,
        faces,
        mask,
        Path(source.weights),
        Path(source.settings),
        params.method,
        params.seed,
        params.device,
        watched,
    )
    completed = fill(faces, mask, found.filled)
    frames = [fill(faces[watched], mask, frame) for frame in found.frames]
    write_table(output.search, found.losses, float_format="%.5f")
    z = io.BytesIO()
    np.save(z, found.z)
    write_bytes(output.z, z.getbuffer())
    write_progress(Path(output.progress), faces[watched], mask, frames)
    write_completions(Path(output.faces), Path(output.grid), names, faces, mask, completed)
    work.items, work.unit = len(names), "faces"
