"""What a bundle holds: inputs and params of its rule."""

import tomllib


def bundled_methods():
    """The compared methods and their targets, but for programs that a bundle cannot hold."""
    names = [name for method in config["compare"]["methods"] for name in with_targets(method)]
    outside = entries_of("methods", "external")
    return [name for name in dict.fromkeys(names) if not {*with_targets(name)} & {*outside}]


def bundled_models():
    """The models that the bundled methods use, those that others name first.

    What a model was only trained from, as a flow from its guess, is not among them.
    """
    models = named_by("methods", bundled_methods(), "models", config)
    return [model for model in with_bases(models, config) if model in models]


def bundled_files(file):
    """`file` of every bundled model."""
    return [f"results/{{dataset}}/models/{model}/{file}" for model in bundled_models()]


def bundled_starts():
    """The bundles that the trainings of the bundled models, or of their bases, begin with."""
    models = with_bases(bundled_models(), config)
    starts = {config["models"][model].get("start") for model in models}
    return sorted(starts - {None})


def bundled_pairs():
    """The compared pairs of bundled methods whose masks suit validation faces, too."""
    return [
        [mask, method]
        for mask, method in compared_pairs()
        if method in bundled_methods()
        and not os.path.isdir(config["masks"][mask].get("path") or "")
    ]


def bundle_code(wildcards):
    """The code of the bundle, of what its methods use, and the words of its table."""
    methods, masks = bundled_methods(), [mask for mask, _ in bundled_pairs()]
    words = code("bundle", *(f"metrics.{metric}" for metric in face_metrics()), presentation=True)
    return [words, code_of_methods("bundle", methods, dict.fromkeys(masks))]


def bundle_facts(wildcards):
    """What a bundle says of its origin. Paths of this machine are nobody else's business."""
    data = config["datasets"][wildcards.dataset]
    known = {key: data[key] for key in ("kind", "sha256", "faces", "people", "seed") if key in data}
    urls = [url for url in data.get("urls", []) if not url.startswith("file://")]
    alignment = alignment_settings()
    project = tomllib.loads((WORKFLOW.parent / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        "facefill": project["project"]["version"],
        "dataset": wildcards.dataset,
        "data": known | ({"urls": urls} if urls else {}),
        "align": {key: value for key, value in alignment.items() if key != "shards"},
        "methods": {method: method_settings(method) for method in bundled_methods()},
    }
