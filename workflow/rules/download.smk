"""download: fetch the archive of a dataset into the cache and extract it."""


rule download:
    input:
        code=code("download"),
    output:
        raw=directory("results/{dataset}/raw"),
    log:
        text="results/logs/{dataset}/download.log",
        timing="results/logs/{dataset}/download.json",
    benchmark:
        "results/benchmarks/{dataset}/download.tsv"
    wildcard_constraints:
        dataset=one_of(of_kind("datasets", "archive")),
    conda:
        "../../envs/facefill.yaml"
    params:
        urls=lambda wildcards: config["datasets"][wildcards.dataset]["urls"],
        sha256=lambda wildcards: config["datasets"][wildcards.dataset]["sha256"],
        extras=lambda wildcards: config["datasets"][wildcards.dataset]["extras"],
        cache=config["cache"],
    script:
        "../scripts/download.py"
