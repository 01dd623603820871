"""bundle: one file with the networks behind the compared methods, for use without training."""

import tomllib


def bundled_methods():
    """The compared methods and their targets, but for programs that a bundle cannot hold."""
    names = [name for method in config["compare"]["methods"] for name in with_targets(method)]
    outside = entries_of("methods", "external")
    return [name for name in dict.fromkeys(names) if not {*with_targets(name)} & {*outside}]


def bundled_models():
    """The models behind the bundled methods, those that others name first."""
    models = named_by("methods", bundled_methods(), "models", config)
    return [*dict.fromkeys([*named_by("models", models, "models", config), *models])]


def bundled_files(file):
    """`file` of every bundled model."""
    return [f"results/{{dataset}}/models/{model}/{file}" for model in bundled_models()]


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


rule bundle:
    input:
        weights=bundled_files("weights.safetensors"),
        settings=bundled_files("settings.json"),
        histories=bundled_files("history.csv"),
        losses=bundled_files("losses.png"),
        samples=bundled_files("samples.png"),
        samples_gif=bundled_files("samples.gif"),
        index="results/{dataset}/index.csv",
        train_npy="results/{dataset}/splits/train.npy",
        val_npy="results/{dataset}/splits/val.npy",
        train_csv="results/{dataset}/splits/train.csv",
        val_csv="results/{dataset}/splits/val.csv",
        test_csv="results/{dataset}/splits/test.csv",
        # The card has its table.
        summary="results/{dataset}/report/summary.csv",
    output:
        "results/{dataset}/bundle.zip",
    log:
        text="results/logs/{dataset}/bundle.log",
        timing="results/logs/{dataset}/bundle.json",
    benchmark:
        "results/benchmarks/{dataset}/bundle.tsv"
    wildcard_constraints:
        dataset=any_of(OTHERS),  # a transfer has the models of another, whose bundle serves
    conda:
        "../../envs/facefill.yaml"
    threads: threads_of_methods(bundled_methods())
    resources:
        gpu=slots_of_methods(bundled_methods()),
    params:
        facts=bundle_facts,
        models=bundled_models(),
        methods={method: method_settings(method) for method in bundled_methods()},
        pairs=bundled_pairs(),
        mask_contents={mask: mask_content(mask) for mask, _ in bundled_pairs()},
        # What decides is the content. Params that take `input` trigger nothing.
        masks=lambda wildcards, input: {mask: config["masks"][mask] for mask, _ in bundled_pairs()},
        zoom=config["align"]["zoom"],
        seed=config["seed"],
        device=device_of_methods(bundled_methods()),
        code=bundle_code,
        texts=lambda wildcards: checksums_of("card.md.j2", "../../LICENSE"),
        template=lambda wildcards, input: str(WORKFLOW / "report" / "card.md.j2"),
        licence=lambda wildcards, input: str(WORKFLOW.parent / "LICENSE"),
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "bundle", threads, threads_of_methods(bundled_methods())
        ),
    script:
        "../scripts/bundle.py"
