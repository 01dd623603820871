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
        # What the archives contain is what counts: neither a mirror more nor another cache folder
        # is a reason to run again (params that take `input` are none).
        content=lambda wildcards: archive_content(wildcards.dataset),
        urls=lambda wildcards, input: config["datasets"][wildcards.dataset]["urls"],
        sha256=lambda wildcards, input: config["datasets"][wildcards.dataset]["sha256"],
        extras=lambda wildcards, input: config["datasets"][wildcards.dataset]["extras"],
        cache=lambda wildcards, input: config["cache"],
    script:
        "../scripts/download.py"
