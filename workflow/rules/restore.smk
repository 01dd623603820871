"""restore: fill the holes of photographs, in the photographs themselves."""


def restored_methods(wildcards):
    """The methods of a set of photographs, with their targets."""
    return each_with_targets(config["restore"][wildcards.set]["method"])


def restoring_code(wildcards):
    """The code of a set's methods, their models, and the mask that is laid on its faces."""
    hole = config["restore"][wildcards.set]["hole"]
    masks = [hole] if hole in config["masks"] else []
    return code_of_methods("restore", restored_methods(wildcards), masks)


@cache
def photograph_digest(name):
    """A digest of a set's photographs and masks, which are no Snakemake files."""
    try:
        found = photos.cached_digests(
            config["restore"][name]["path"], Path(".snakemake/facefill-photos.json")
        )
    except FacefillError as error:
        sys.exit(f"facefill: config: restore.{name}.path: {error}")
    return photos.digest(found.items())


def table_of_faces(name):
    """The user's table of faces, "" where there is none."""
    entry = config["restore"][name]
    if entry["faces"]:
        must_exist(f"restore.{name}.faces", entry["faces"])
        return entry["faces"]
    usual = os.path.join(entry["path"], "faces.csv")
    return usual if os.path.isfile(usual) else ""


def restoring_content(name):
    """What decides how a set is restored: of files their content, not their path or date."""
    entry = config["restore"][name]
    table = table_of_faces(name)
    mask = mask_content(entry["hole"]) if entry["hole"] in config["masks"] else None
    settings = {key: entry[key] for key in ("hole", "method", "format", "grain")}
    return settings | {"mask": mask, "faces": table and CHECKSUMS.sha256(table)}


def restored_sets():
    """The manifests of all sets of photographs."""
    if not config["restore"]:
        sys.exit(
            "facefill: config: restore names no photographs; add a set, as in --config "
            '\'restore={"family": {"path": "/home/me/damaged"}}\''
        )
    return [f"results/{config['dataset']}/restored/{name}/index.html" for name in config["restore"]]


rule restore:
    input:
        lambda wildcards: restored_sets(),


rule restore_set:
    input:
        unpack(lambda wildcards: inputs_of_methods(restored_methods(wildcards), wildcards.dataset)),
    output:
        photos=directory("results/{dataset}/restored/{set}/photos"),
        faces=directory("results/{dataset}/restored/{set}/faces"),
        manifest="results/{dataset}/restored/{set}/manifest.csv",
        page=directory("results/{dataset}/restored/{set}/page"),
        overview="results/{dataset}/restored/{set}/overview.png",
        index="results/{dataset}/restored/{set}/index.html",
        paint="results/{dataset}/restored/{set}/paint.html",
    log:
        text="results/logs/{dataset}/restore/{set}.log",
        timing="results/logs/{dataset}/restore/{set}.json",
    benchmark:
        "results/benchmarks/{dataset}/restore/{set}.tsv"
    wildcard_constraints:
        set=any_of(config["restore"]),
    conda:
        "../../envs/facefill.yaml"
    threads: lambda wildcards: threads_of_methods(restored_methods(wildcards))
    resources:
        gpu=lambda wildcards: slots_of_methods(restored_methods(wildcards)),
    params:
        code=restoring_code,
        digest=lambda wildcards: photograph_digest(wildcards.set),
        content=lambda wildcards: restoring_content(wildcards.set),
        align=alignment_settings(),
        method_contents=lambda wildcards: {
            method: method_content(method) for method in restored_methods(wildcards)
        },
        shape=CHECKSUMS.sha256(WORKFLOW / "facefill" / "restore" / "shape.csv"),
        seed=config["seed"],
        device=lambda wildcards: device_of_methods(restored_methods(wildcards)),
        texts=checksums_of("restored.html.j2", "paint.html"),
        # What decides is the content. Params that take `input` or `threads` trigger nothing.
        root=lambda wildcards, input: config["restore"][wildcards.set]["path"],
        table=lambda wildcards, input: table_of_faces(wildcards.set),
        predictor=lambda wildcards, input: config["align"]["predictor"],
        mask=lambda wildcards, input: config["masks"].get(config["restore"][wildcards.set]["hole"]),
        methods=lambda wildcards, input: {
            method: method_settings(method) for method in restored_methods(wildcards)
        },
        templates=lambda wildcards, input: str(WORKFLOW / "report"),
        threads=lambda wildcards, threads: asked_threads(
            "restore_set", threads, threads_of_methods(restored_methods(wildcards))
        ),
        # Unknown to Snakemake, so that what is already restored is not restored again.
        kept="results/{dataset}/restored/.kept/{set}",
    script:
        "../scripts/restore.py"
