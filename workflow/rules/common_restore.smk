"""What a set of photographs needs: inputs and params of its rule."""


def restored_methods(wildcards):
    """The methods of a set of photographs, with their targets."""
    return each_with_targets(config["restore"][wildcards.set]["method"])


def restoring_slots(wildcards):
    """How much of the GPU a set has."""
    return slots_of_methods(restored_methods(wildcards))


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
    """The pages of all sets of photographs."""
    if not config["restore"]:
        sys.exit(
            "facefill: config: restore names no photographs; add a set, as in --config "
            '\'restore={"family": {"path": "damaged"}}\''
        )
    return [f"results/{config['dataset']}/restored/{name}/index.html" for name in config["restore"]]
