"""complete_classical: fill the test faces' holes without a network."""


rule complete_classical:
    input:
        npy="results/{dataset}/splits/test.npy",
        csv="results/{dataset}/splits/test.csv",
        train=lambda wildcards: (
            [f"results/{wildcards.dataset}/splits/train.{kind}" for kind in ("npy", "csv")]
            if config["methods"][wildcards.method]["kind"] == "mean"
            else []
        ),
        code=code("complete_classical"),
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
        text="results/logs/{dataset}/complete_classical/{mask}/{method}.log",
        timing="results/logs/{dataset}/complete_classical/{mask}/{method}.json",
    benchmark:
        "results/benchmarks/{dataset}/complete_classical/{mask}/{method}.tsv"
    wildcard_constraints:
        method=one_of(name for name in config["methods"] if completed_by(name) == "classical"),
    conda:
        "../../envs/facefill.yaml"
    params:
        mask=lambda wildcards: mask_settings(wildcards.mask),
        zoom=config["align"]["zoom"],
        method=method_settings,
        faces=lambda wildcards: faces_of(wildcards.method),
    script:
        "../scripts/complete_classical.py"
