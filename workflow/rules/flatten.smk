"""flatten: all faces in one folder, and a table of what became of every photo."""


rule flatten:
    input:
        index="results/{dataset}/index.csv",
        archives=expand(
            "results/{{dataset}}/aligned/shard-{shard}-of-{shards}.zip",
            shard=range(config["align"]["shards"]),
            shards=config["align"]["shards"],
        ),
        tables=expand(
            "results/{{dataset}}/aligned/shard-{shard}-of-{shards}.csv",
            shard=range(config["align"]["shards"]),
            shards=config["align"]["shards"],
        ),
    output:
        faces=directory("results/{dataset}/faces"),
        manifest="results/{dataset}/manifest.csv",
        geometry="results/{dataset}/geometry.csv",
        sheet=report(
            "results/{dataset}/faces.png",
            caption="../report/faces.rst",
            category="Data",
            labels={"dataset": "{dataset}", "what": "aligned faces"},
        ),
    log:
        text="results/logs/{dataset}/flatten.log",
        timing="results/logs/{dataset}/flatten.json",
    benchmark:
        "results/benchmarks/{dataset}/flatten.tsv"
    wildcard_constraints:
        dataset=any_of(OTHERS),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(4),
    params:
        code=code("flatten"),
    script:
        "../scripts/flatten.py"
