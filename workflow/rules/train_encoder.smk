"""train_encoder: train one encoder on the train split and the samples of its generator."""


rule train_encoder:
    input:
        faces="results/{dataset}/splits/train.npy",
        table="results/{dataset}/splits/train.csv",
        validation="results/{dataset}/splits/val.npy",
        validation_table="results/{dataset}/splits/val.csv",
        weights=lambda wildcards: model_file(
            config["models"][wildcards.model]["generator"], "weights.safetensors"
        ),
        settings=lambda wildcards: model_file(
            config["models"][wildcards.model]["generator"], "settings.json"
        ),
        code=code("train_encoder"),
    output:
        # Until a training has ended well, the weights of the last good one stay. Not so their
        # settings: Snakemake would take what it restores for what it was asked to make.
        weights=update("results/{dataset}/models/{model}/weights.safetensors"),
        settings="results/{dataset}/models/{model}/settings.json",
        history="results/{dataset}/models/{model}/history.csv",
        losses=report(
            "results/{dataset}/models/{model}/losses.png",
            caption="../report/encoder_losses.rst",
            category="Models",
            subcategory="{model}",
            labels={"model": "{model}", "what": "losses"},
        ),
        samples=report(
            "results/{dataset}/models/{model}/samples.png",
            caption="../report/encoder_samples.rst",
            category="Models",
            subcategory="{model}",
            labels={"model": "{model}", "what": "samples"},
        ),
        samples_gif="results/{dataset}/models/{model}/samples.gif",
        events=directory("results/{dataset}/models/{model}/events"),
    log:
        text="results/logs/{dataset}/train_encoder/{model}.log",
        timing="results/logs/{dataset}/train_encoder/{model}.json",
    benchmark:
        "results/benchmarks/{dataset}/train_encoder/{model}.tsv"
    wildcard_constraints:
        model=one_of(of_kind("models", "encoder")),
    conda:
        "../../envs/facefill.yaml"
    threads: training_threads
    resources:
        gpu=GPU_SLOTS,
    params:
        settings=lambda wildcards: config["models"][wildcards.model],
        zoom=config["align"]["zoom"],
        seed=config["seed"],
        device=config["device"],
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "train_encoder", threads, training_threads(wildcards)
        ),
        # Unknown to Snakemake, so that a training that was killed finds its checkpoint again.
        checkpoints="results/{dataset}/checkpoints/{model}",
    script:
        "../scripts/train_encoder.py"
