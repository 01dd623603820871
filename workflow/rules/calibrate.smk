"""calibrate: how wide the bands of a method's samples must be, by faces of the validation split."""


rule calibrate:
    input:
        unpack(calibration_inputs),
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
    threads: completion_threads
    resources:
        gpu=lambda wildcards: GPU_SLOTS if calibration_device(wildcards.method) != "cpu" else 0,
    params:
        mask_content=lambda wildcards: mask_content(wildcards.mask),
        # What decides is the content. Params that take `input` trigger nothing.
        mask=lambda wildcards, input: config["masks"][wildcards.mask],
        zoom=config["align"]["zoom"],
        method_contents=lambda wildcards: {
            method: method_content(method) for method in with_targets(wildcards.method)
        },
        method=lambda wildcards, input: method_settings(wildcards.method),
        targets=lambda wildcards, input: {
            setting: method_settings(target)
            for setting, target in targets_of(wildcards.method).items()
        },
        faces=lambda wildcards: faces_of(wildcards.method),
        seed=config["seed"],
        device=lambda wildcards: calibration_device(wildcards.method),
        code=calibration_code,
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "calibrate", threads, completion_threads(wildcards)
        ),
    script:
        "../scripts/calibrate.py"
