"""transfer: the faces of one data set, and the models of another or of a bundle."""

# What a bundle's faces must have been aligned by, however many jobs did it.
ALIGNMENT = {key: value for key, value in alignment_settings().items() if key != "shards"}


rule transfer_bundle:
    output:
        "results/{dataset}/models_of.zip",
    log:
        text="results/logs/{dataset}/transfer_bundle.log",
        timing="results/logs/{dataset}/transfer_bundle.json",
    benchmark:
        "results/benchmarks/{dataset}/transfer_bundle.tsv"
    wildcard_constraints:
        dataset=any_of(filter(by_bundle, TRANSFERS)),
    retries: 2
    localrule: True  # nodes of a cluster have no internet, as a rule
    conda:
        "../../envs/facefill.yaml"
    params:
        code=code("transfer_bundle"),
        content=raw_content,
        # What decides is the content. Params that take `input` trigger nothing.
        address=lambda wildcards, input: dataset_of(wildcards).bundle,
        sha256=lambda wildcards, input: dataset_of(wildcards).sha256,
        cache=lambda wildcards, input: config["cache"],
    script:
        "../scripts/transfer_bundle.py"


rule transfer_faces:
    input:
        faces=lambda wildcards: f"results/{completed_dataset(wildcards)}/faces",
        manifest=lambda wildcards: f"results/{completed_dataset(wildcards)}/manifest.csv",
        geometry=lambda wildcards: f"results/{completed_dataset(wildcards)}/geometry.csv",
        sheet=lambda wildcards: f"results/{completed_dataset(wildcards)}/faces.png",
    output:
        faces=directory("results/{dataset}/faces"),
        manifest="results/{dataset}/manifest.csv",
        geometry="results/{dataset}/geometry.csv",
        sheet=report(
            "results/{dataset}/faces.png",
            caption="../report/faces.rst",
            category="Data",
            labels={"dataset": "{dataset}", "what": "aligned faces"},
        ),
    log:
        text="results/logs/{dataset}/transfer_faces.log",
        timing="results/logs/{dataset}/transfer_faces.json",
    benchmark:
        "results/benchmarks/{dataset}/transfer_faces.tsv"
    wildcard_constraints:
        dataset=any_of(TRANSFERS),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(1),
    params:
        code=code("transfer"),
    script:
        "../scripts/transfer.py"


rule transfer_models:
    input:
        unpack(
            lambda wildcards: taken(
                wildcards,
                f"models/{wildcards.model}",
                weights="weights.safetensors",
                settings="settings.json",
                history="history.csv",
                losses="losses.png",
                samples="samples.png",
                samples_gif="samples.gif",
            )
        ),
    output:
        weights="results/{dataset}/models/{model}/weights.safetensors",
        settings="results/{dataset}/models/{model}/settings.json",
        history="results/{dataset}/models/{model}/history.csv",
        losses=model_output("losses.png", "losses"),
        samples=model_output("samples.png", "samples"),
        samples_gif="results/{dataset}/models/{model}/samples.gif",
    log:
        text="results/logs/{dataset}/transfer_models/{model}.log",
        timing="results/logs/{dataset}/transfer_models/{model}.json",
    benchmark:
        "results/benchmarks/{dataset}/transfer_models/{model}.tsv"
    wildcard_constraints:
        dataset=any_of(TRANSFERS),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(1),
    params:
        code=code("transfer"),
        kind=lambda wildcards: config["models"][wildcards.model]["kind"],
        align=ALIGNMENT,
        # Takes `input`, as the captions do: neither triggers a rerun.
        transfer=lambda wildcards, input: config["datasets"][wildcards.dataset],
        captions=lambda wildcards, input: kind_of(
            "models", config["models"][wildcards.model]
        ).captions,
    script:
        "../scripts/transfer.py"


rule transfer_training:
    input:
        unpack(
            lambda wildcards: taken(
                wildcards,
                "splits",
                train="train.npy",
                val="val.npy",
                train_table="train.csv",
                val_table="val.csv",
            )
        ),
    output:
        train="results/{dataset}/splits/train.npy",
        val="results/{dataset}/splits/val.npy",
        train_table="results/{dataset}/splits/train.csv",
        val_table="results/{dataset}/splits/val.csv",
    log:
        text="results/logs/{dataset}/transfer_training.log",
        timing="results/logs/{dataset}/transfer_training.json",
    benchmark:
        "results/benchmarks/{dataset}/transfer_training.tsv"
    wildcard_constraints:
        dataset=any_of(TRANSFERS),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(1),
    params:
        code=code("transfer"),
        align=ALIGNMENT,
        transfer=lambda wildcards, input: config["datasets"][wildcards.dataset],
    script:
        "../scripts/transfer.py"


rule transfer_split:
    input:
        unpack(split_inputs),
    output:
        test="results/{dataset}/splits/test.npy",
        test_table="results/{dataset}/splits/test.csv",
        set_aside="results/{dataset}/splits/set_aside.csv",
        origin="results/{dataset}/splits/origin.json",
    log:
        text="results/logs/{dataset}/transfer_split.log",
        timing="results/logs/{dataset}/transfer_split.json",
    benchmark:
        "results/benchmarks/{dataset}/transfer_split.tsv"
    wildcard_constraints:
        dataset=any_of(TRANSFERS),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=hours(4),
    params:
        code=code("transfer_split"),
        zoom=config["align"]["zoom"],
        origin=lambda wildcards: {
            name: config["datasets"][wildcards.dataset][name] for name in ("models_of", "faces_of")
        },
    script:
        "../scripts/transfer_split.py"
