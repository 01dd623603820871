"""Complete the test faces under one mask without a network."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.complete.classical.complete import complete
    from facefill.methods.mean import mean_face
    from facefill.complete import fill, masked, write_completions, write_grid
    from facefill.core.masking import make_masks, observe
    from facefill.split import choose_faces, read_split

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    names, faces = choose_faces(Path(source.npy), Path(source.csv), params.faces)
    masks = make_masks(params.mask, names, faces.shape[1], params.zoom)
    observed = observe(faces, masks)
    if params.method["kind"] == "mean":
        filled = mean_face(read_split(*source.train)[1], len(faces))
    else:
        filled = complete(observed, masks, params.method)
    completed = fill(observed, masks.known, filled)
    write_completions(Path(output.faces), names, completed)
    write_grid(Path(output.grid), names, faces, masked(observed, masks), completed)
    work.items, work.unit = len(names), "faces"
