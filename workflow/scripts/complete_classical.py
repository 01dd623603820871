"""Complete the test faces under one mask without a network."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.complete.classical import mean_face, telea
    from facefill.complete.faces import choose_faces, fill, write_completions
    from facefill.masks import make_mask
    from facefill.split import read_split

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    names, faces = choose_faces(Path(source.npy), Path(source.csv), params.faces)
    mask = make_mask(params.mask, faces.shape[1])
    if params.method["kind"] == "mean":
        filled = mean_face(read_split(*source.train)[1], len(faces))
    else:
        filled = telea(faces, mask, params.method)
    completed = fill(faces, mask, filled)
    write_completions(Path(output.faces), Path(output.grid), names, faces, mask, completed)
    work.items, work.unit = len(names), "faces"
