"""measure_model: how like the validation faces one generator's samples are."""


rule measure_model:
    input:
        faces="results/{dataset}/splits/val.npy",
        table="results/{dataset}/splits/val.csv",
        descriptors="results/{dataset}/splits/val_descriptors.npy",
        weights="results/{dataset}/models/{model}/weights.safetensors",
        settings="results/{dataset}/models/{model}/settings.json",
    output:
        "results/{dataset}/models/{model}/set_metrics.csv",
    log:
        text="results/logs/{dataset}/measure_model/{model}.log",
        timing="results/logs/{dataset}/measure_model/{model}.json",
    benchmark:
        "results/benchmarks/{dataset}/measure_model/{model}.tsv"
    wildcard_constraints:
        model=any_of(models_providing("generator")),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000, gpu=GPU_SLOTS),
        runtime=hours(2),
        gpu=GPU_SLOTS,
    params:
        code=code("measure_model", *(f"metrics.{name}" for name in set_metrics("generator"))),
        zoom=config["align"]["zoom"],
        seed=config["seed"],
        device=config["device"],
    script:
        "../scripts/measure_model.py"
