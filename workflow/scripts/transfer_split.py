"""Divide the faces to be completed into test faces and those that the models may have seen."""

from facefill_stage import stage

with stage(snakemake, keep=True) as work:
    import json
    from pathlib import Path

    from facefill.core.files import sha256_file, write_bytes
    from facefill.transfer import choose_test, counts_of, seen_by_bundle, seen_by_dataset

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    origin = dict(params.origin)
    if source.get("bundle"):
        from facefill.bundle.read import open_bundle

        bundle = open_bundle(source.bundle)
        seen, counts = seen_by_bundle(bundle), bundle.contents["splits"]
        names = "dataset", "facefill"
        origin |= {"bundle": {name: bundle.contents[name] for name in names}}
        origin["bundle"]["sha256"] = sha256_file(source.bundle)
    else:
        splits = {name: (source[name], source[f"{name}_table"]) for name in ("train", "val")}
        descriptors = {name: source[f"{name}_descriptors"] for name in splits}
        seen = seen_by_dataset(source.seen, splits, descriptors)
        counts = counts_of({name: table for name, (_, table) in splits.items()})
    set_aside = choose_test(
        Path(source.faces),
        source.manifest,
        source.index,
        seen,
        params.zoom,
        array=output.test,
        table=output.test_table,
        set_aside=output.set_aside,
    )
    origin |= {
        key: {name: counts[name][key] for name in ("train", "val")} for key in ("faces", "people")
    }
    origin |= {"set_aside": set_aside}
    write_bytes(output.origin, json.dumps(origin, indent=2, sort_keys=True).encode() + b"\n")
    work.items, work.unit = counts_of({"test": output.test_table})["test"]["faces"], "faces"
