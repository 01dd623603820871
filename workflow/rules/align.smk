"""align: find the face in every photo of a shard and bring it into OpenFace's pose."""


rule align:
    input:
        # A folder's shard depends on the digest of its own photos alone: one photo more, and one
        # shard is aligned again.
        index=lambda wildcards: (
            [] if photo_digest(wildcards) is not None else f"results/{wildcards.dataset}/index.csv"
        ),
        predictor=config["align"]["predictor"] or [],
    output:
        zip="results/{dataset}/aligned/shard-{shard}-of-{shards}.zip",
        csv="results/{dataset}/aligned/shard-{shard}-of-{shards}.csv",
    log:
        text="results/logs/{dataset}/align/shard-{shard}-of-{shards}.log",
        timing="results/logs/{dataset}/align/shard-{shard}-of-{shards}.json",
    benchmark:
        "results/benchmarks/{dataset}/align/shard-{shard}-of-{shards}.tsv"
    wildcard_constraints:
        shards=config["align"]["shards"],
    conda:
        "../../envs/facefill.yaml"
    params:
        code=code("align"),
        root=photo_root,
        shard=lambda wildcards: int(wildcards.shard),
        digest=photo_digest,
        settings=config["align"],
    script:
        "../scripts/align.py"
