"""align: find the face in every photo of a shard and bring it into OpenFace's pose."""


rule align:
    input:
        raw=raw_photos,
        # A folder's shard depends on the digest of its own photos alone: one photo more, and one
        # shard is aligned again.
        index=lambda wildcards: (
            [] if photo_digest(wildcards) is not None else f"results/{wildcards.dataset}/index.csv"
        ),
    output:
        zip="results/{dataset}/aligned/shard-{shard}-of-{shards}.zip",
        csv="results/{dataset}/aligned/shard-{shard}-of-{shards}.csv",
    log:
        text="results/logs/{dataset}/align/shard-{shard}-of-{shards}.log",
        timing="results/logs/{dataset}/align/shard-{shard}-of-{shards}.json",
    benchmark:
        "results/benchmarks/{dataset}/align/shard-{shard}-of-{shards}.tsv"
    wildcard_constraints:
        dataset=any_of(OTHERS),
        shards=config["align"]["shards"],
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=hours(8),
    params:
        code=code("align"),
        # Where the photos and the landmark model lie does not decide what they are.
        root=photo_root,
        listings=lambda wildcards, input: photo_listings(wildcards),
        predictor=lambda wildcards, input: config["align"]["predictor"],
        shard=lambda wildcards: int(wildcards.shard),
        digest=photo_digest,
        settings=alignment_settings(),
    script:
        "../scripts/align.py"
