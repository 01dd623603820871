"""One rule per kind of model: train one model on the train split."""

for kind, declared in kinds("models").items():

    rule:
        name:
            f"train_{kind}"
        input:
            unpack(training_inputs),
            faces="results/{dataset}/splits/train.npy",
            table="results/{dataset}/splits/train.csv",
            validation="results/{dataset}/splits/val.npy",
            validation_table="results/{dataset}/splits/val.csv",
        output:
            # `update` keeps the last good weights until a training has ended well. Settings are
            # deleted at the start: Snakemake takes what it restores for a result.
            weights=update("results/{dataset}/models/{model}/weights.safetensors"),
            settings="results/{dataset}/models/{model}/settings.json",
            history="results/{dataset}/models/{model}/history.csv",
            losses=model_output("losses.png", "losses"),
            samples=model_output("samples.png", "samples"),
            samples_gif="results/{dataset}/models/{model}/samples.gif",
            events=directory("results/{dataset}/models/{model}/events"),
        log:
            text=f"results/logs/{{dataset}}/train_{kind}/{{model}}.log",
            timing=f"results/logs/{{dataset}}/train_{kind}/{{model}}.json",
        benchmark:
            f"results/benchmarks/{{dataset}}/train_{kind}/{{model}}.tsv"
        wildcard_constraints:
            dataset=any_of(OTHERS),
            model=any_of(entries_of("models", kind)),
        retries: 2  # each goes on from the last epoch
        conda:
            "../../envs/facefill.yaml"
        threads: training_threads
        resources:
            mem_mb=memory(3000, per_input=3, gpu=0 if declared.on_cpu else GPU_SLOTS),
            runtime=hours(24),
            gpu=0 if declared.on_cpu else GPU_SLOTS,
        params:
            settings=lambda wildcards: model_settings(wildcards.model),
            zoom=config["align"]["zoom"],
            seed=lambda wildcards: seed_of(wildcards.model),
            device="cpu" if declared.on_cpu else config["device"],
            code=training_code,
            # Takes `threads`, and the captions take `input`: neither triggers a rerun.
            threads=lambda wildcards, threads: asked_threads(
                f"train_{config['models'][wildcards.model]['kind']}",
                threads,
                training_threads(wildcards),
            ),
            captions=lambda wildcards, input: kind_of(
                "models", config["models"][wildcards.model]
            ).captions,
            checkpoints=checkpoint_folder,
        script:
            "../scripts/train.py"
