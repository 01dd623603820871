"""render: make the photos of a synthetic dataset."""


rule render:
    input:
        code=code("render"),
    output:
        raw=directory("results/{dataset}/raw"),
        truth="results/{dataset}/truth.csv",
    log:
        text="results/logs/{dataset}/render.log",
        timing="results/logs/{dataset}/render.json",
    benchmark:
        "results/benchmarks/{dataset}/render.tsv"
    wildcard_constraints:
        dataset=one_of(of_kind("datasets", "synthetic")),
    conda:
        "../../envs/facefill.yaml"
    threads: usable_cores()
    params:
        settings=lambda wildcards: config["datasets"][wildcards.dataset],
    script:
        "../scripts/render.py"
