"""measure: how near one method's completions come to the originals."""


rule measure:
    input:
        test_npy="results/{dataset}/splits/test.npy",
        test_csv="results/{dataset}/splits/test.csv",
        test_descriptors="results/{dataset}/splits/test_descriptors.npy",
        test_landmarks="results/{dataset}/splits/test_landmarks.npy",
        faces="results/{dataset}/completions/{mask}/{method}/faces",
        samples=lambda wildcards: (
            f"results/{wildcards.dataset}/completions/{wildcards.mask}/{wildcards.method}/samples.npy"
            if declares(wildcards.method, "samples")
            else []
        ),
        calibration=calibration_file,
    output:
        metrics="results/{dataset}/completions/{mask}/{method}/metrics.csv",
        set_metrics="results/{dataset}/completions/{mask}/{method}/set_metrics.csv",
    log:
        text="results/logs/{dataset}/measure/{mask}/{method}.log",
        timing="results/logs/{dataset}/measure/{mask}/{method}.json",
    benchmark:
        "results/benchmarks/{dataset}/measure/{mask}/{method}.tsv"
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(1),
    params:
        code=measuring_code,
        mask_content=lambda wildcards: mask_content(wildcards.mask),
        # What decides is the content. Params that take `input` trigger nothing.
        mask=lambda wildcards, input: config["masks"][wildcards.mask],
        zoom=config["align"]["zoom"],
        mean_first=lambda wildcards: (
            kind_of("methods", config["methods"][wildcards.method]).mean_first
        ),
        # Another one changes the faces already.
        predictor=lambda wildcards, input: config["align"]["predictor"],
    script:
        "../scripts/measure.py"
