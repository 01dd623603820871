"""train_glcic: train one completion network on the train split."""


rule train_glcic:
    input:
        faces="results/{dataset}/splits/train.npy",
        table="results/{dataset}/splits/train.csv",
        validation="results/{dataset}/splits/val.npy",
        validation_table="results/{dataset}/splits/val.csv",
        code=code("train_glcic"),
    output:
        # Until a training has ended well, the weights of the last good one stay. Not so their
        # settings: Snakemake would take what it restores for what it was asked to make.
        weights=update("results/{dataset}/models/{model}/weights.safetensors"),
        settings="results/{dataset}/models/{model}/settings.json",
        history="results/{dataset}/models/{model}/history.csv",
        losses=report(
            "results/{dataset}/models/{model}/losses.png",
            caption="../report/completion_losses.rst",
            category="Models",
            subcategory="{model}",
            labels={"model": "{model}", "what": "losses"},
        ),
        samples=report(
            "results/{dataset}/models/{model}/samples.png",
            caption="../report/network_samples.rst",
            category="Models",
            subcategory="{model}",
            labels={"model": "{model}", "what": "samples"},
        ),
        samples_gif="results/{dataset}/models/{model}/samples.gif",
        events=directory("results/{dataset}/models/{model}/events"),
    log:
        text="results/logs/{dataset}/train_glcic/{model}.log",
        timing="results/logs/{dataset}/train_glcic/{model}.json",
    benchmark:
        "results/benchmarks/{dataset}/train_glcic/{model}.tsv"
    wildcard_constraints:
        model=one_of(of_kind("models", "glcic")),
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
            "train_glcic", threads, training_threads(wildcards)
        ),
        # Unknown to Snakemake, so that a training that was killed finds its checkpoint again.
        checkpoints="results/{dataset}/checkpoints/{model}",
    script:
        "../scripts/train_glcic.py"
