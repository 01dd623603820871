"""publish: a report's figures as a Markdown page without pictures of anybody."""


rule publish:
    input:
        summary="results/{dataset}/report/summary.csv",
        set_metrics="results/{dataset}/report/set_metrics.csv",
        trainings="results/{dataset}/report/trainings.csv",
        differences="results/{dataset}/report/differences.csv",
        timings="results/{dataset}/report/timings.csv",
        model_metrics="results/{dataset}/report/model_metrics.csv",
        provenance="results/{dataset}/report/provenance.json",
        searches=compared_files("search.csv", declared="search"),
        jobs=stored_timings,
    output:
        "results/{dataset}/results.md",
    log:
        text="results/logs/{dataset}/publish.log",
        timing="results/logs/{dataset}/publish.json",
    benchmark:
        "results/benchmarks/{dataset}/publish.tsv"
    localrule: True
    conda:
        "../../envs/facefill.yaml"
    params:
        code=code("publish", *(f"metrics.{name}" for name in kinds("metrics")), presentation=True),
        texts=checksums_of("results.md.j2"),
        template=lambda wildcards, input: str(WORKFLOW / "report" / "results.md.j2"),
        dataset=lambda wildcards: wildcards.dataset,
        searched=pairs_declaring("search"),
        timings=timing_logs,
        command=publish_command,
    script:
        "../scripts/publish.py"
