"""One rule per kind of data set that makes raw/: download, render."""

for kind, declared in kinds("datasets").items():
    if declared.rule is None:
        continue

    rule:
        name:
            declared.rule
        output:
            raw=directory("results/{dataset}/raw"),
            extra=[f"results/{{dataset}}/{file}" for file in declared.extra.values()],
        log:
            text=f"results/logs/{{dataset}}/{declared.rule}.log",
            timing=f"results/logs/{{dataset}}/{declared.rule}.json",
        benchmark:
            f"results/benchmarks/{{dataset}}/{declared.rule}.tsv"
        wildcard_constraints:
            dataset=any_of(entries_of("datasets", kind)),
        retries: 2 if declared.downloads else None
        # Nodes of a cluster have no internet, as a rule.
        localrule: declared.downloads
        conda:
            "../../envs/facefill.yaml"
        threads: every_core if declared.parallel else 1
        resources:
            mem_mb=memory(2000),
            runtime=hours(8),
        params:
            content=raw_content,
            code=code("raw", f"datasets.{kind}"),
            # What decides the photos is `content`. Params that take `input` trigger nothing, so
            # another mirror or cache folder is no reason to run again.
            settings=lambda wildcards, input: config["datasets"][wildcards.dataset],
            cache=lambda wildcards, input: config["cache"],
        script:
            "../scripts/raw.py"
