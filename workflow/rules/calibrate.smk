"""calibrate: how wide the bands of a method's samples must be, by faces of the validation split."""


rule calibrate:
    input:
        unpack(
            lambda wildcards: inputs_of_methods(with_targets(wildcards.method), wildcards.dataset)
        ),
        npy="results/{dataset}/splits/val.npy",
        csv="results/{dataset}/splits/val.csv",
    output:
        "results/{dataset}/completions/{mask}/{method}/calibration.csv",
    log:
        text="results/logs/{dataset}/calibrate/{mask}/{method}.log",
        timing="results/logs/{dataset}/calibrate/{mask}/{method}.json",
    benchmark:
        "results/benchmarks/{dataset}/calibrate/{mask}/{method}.tsv"
    wildcard_constraints:
        method=any_of(filter(makes_several, config["methods"])),
    conda:
        "../../envs/facefill.yaml"
    threads: lambda wildcards: threads_of_methods(with_targets(wildcards.method))
    resources:
        mem_mb=memory(3000, gpu=calibration_slots),
        runtime=hours(12),
        gpu=calibration_slots,
    params:
        mask_content=lambda wildcards: mask_content(wildcards.mask),
        # What decides is the content. Params that take `input` trigger nothing.
        mask=lambda wildcards, input: config["masks"][wildcards.mask],
        zoom=config["align"]["zoom"],
        method_contents=lambda wildcards: {
            method: method_content(method) for method in with_targets(wildcards.method)
        },
        methods=lambda wildcards, input: {
            method: method_settings(method) for method in with_targets(wildcards.method)
        },
        faces=lambda wildcards: faces_of(wildcards.method),
        seed=config["seed"],
        device=lambda wildcards: device_of_methods(with_targets(wildcards.method)),
        code=lambda wildcards: code_of_methods(
            "calibrate", with_targets(wildcards.method), [wildcards.mask]
        ),
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "calibrate", threads, threads_of_methods(with_targets(wildcards.method))
        ),
    script:
        "../scripts/calibrate.py"
