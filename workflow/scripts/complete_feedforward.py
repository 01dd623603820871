"""Complete the test faces under one mask by one pass of a completion network."""

from stage import stage

with stage(snakemake) as work:
    from pathlib import Path

    from facefill.methods import feedforward
    from facefill.core.blend import blend
    from facefill.methods.telea import telea
    from facefill.complete import masked, write_completions, write_grid
    from facefill.core.device import use_threads
    from facefill.core.masking import make_masks, observe
    from facefill.split import choose_faces

    source, params, output = snakemake.input, snakemake.params, snakemake.output
    use_threads(params.threads)
    names, faces = choose_faces(Path(source.npy), Path(source.csv), params.faces)
    masks = make_masks(params.mask, names, faces.shape[1], params.zoom)
    # From here on nothing knows the hidden pixels but the sheet that is to be looked at.
    observed = observe(faces, masks)
    filled = feedforward.complete(
        observed,
        masks,
        Path(source.weights),
        Path(source.settings),
        params.method["mirror"],
        params.device,
    )
    start = None
    if params.method["start"] == "telea":  # the radius is that of Iizuka et al.'s program
        holed = observed * masks.known[..., None]
        start = telea(holed, masks.known, {"radius": 1})
    completed = blend(params.method["blend"], observed, masks.known, filled, start)
    write_completions(Path(output.faces), names, completed)
    write_grid(Path(output.grid), names, faces, masked(observed, masks), completed)
    work.items, work.unit = len(names), "faces"
