"""complete_feedforward: fill the test faces' holes by one pass of a completion network."""


rule complete_feedforward:
    input:
        npy="results/{dataset}/splits/test.npy",
        csv="results/{dataset}/splits/test.csv",
        weights=lambda wildcards: model_file(
            config["methods"][wildcards.method]["model"], "weights.safetensors"
        ),
        settings=lambda wildcards: model_file(
            config["methods"][wildcards.method]["model"], "settings.json"
        ),
        code=code("complete_feedforward"),
    output:
        faces=directory("results/{dataset}/completions/{mask}/{method}/faces"),
        grid=report(
            "results/{dataset}/completions/{mask}/{method}/grid.png",
            caption="../report/grid.rst",
            category="Completions",
            subcategory="{mask}",
            labels={"mask": "{mask}", "method": "{method}", "what": "faces"},
        ),
    log:
        text="results/logs/{dataset}/complete_feedforward/{mask}/{method}.log",
        timing="results/logs/{dataset}/complete_feedforward/{mask}/{method}.json",
    benchmark:
        "results/benchmarks/{dataset}/complete_feedforward/{mask}/{method}.tsv"
    wildcard_constraints:
        method=one_of(of_kind("methods", "feedforward")),
    conda:
        "../../envs/facefill.yaml"
    threads: completion_threads
    resources:
        gpu=GPU_SLOTS,
    params:
        mask=lambda wildcards: mask_settings(wildcards.mask),
        zoom=config["align"]["zoom"],
        method=method_settings,
        faces=lambda wildcards: faces_of(wildcards.method),
        device=config["device"],
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "complete_feedforward", threads, completion_threads(wildcards)
        ),
    script:
        "../scripts/complete_feedforward.py"
