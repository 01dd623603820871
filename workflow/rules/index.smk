"""index: list every photo with its person and checksum."""


rule index:
    input:
        raw=lambda wildcards: (
            [] if photo_digest(wildcards) is not None else f"results/{wildcards.dataset}/raw"
        ),
        table=identity_table,
        code=code("index"),
    output:
        csv="results/{dataset}/index.csv",
    log:
        text="results/logs/{dataset}/index.log",
        timing="results/logs/{dataset}/index.json",
    benchmark:
        "results/benchmarks/{dataset}/index.tsv"
    conda:
        "../../envs/facefill.yaml"
    params:
        root=photo_root,
        identity=lambda wildcards: config["datasets"][wildcards.dataset].get("identity", "folder"),
        # An archive never grows a second top folder; one's own folder may, and its people stay.
        strip=lambda wildcards: config["datasets"][wildcards.dataset]["kind"] == "archive",
        digest=photo_digest,
    script:
        "../scripts/index.py"
