"""index: list every photo with its person and checksum."""


rule index:
    input:
        raw=raw_photos,
    output:
        csv="results/{dataset}/index.csv",
    log:
        text="results/logs/{dataset}/index.log",
        timing="results/logs/{dataset}/index.json",
    benchmark:
        "results/benchmarks/{dataset}/index.tsv"
    wildcard_constraints:
        dataset=any_of(OTHERS),
    priority: 1  # too few people are told before anything is aligned
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(4),
    params:
        code=code("index"),
        content=identity,
        # Where the photos and the table of people lie does not decide what they are.
        root=photo_root,
        identity=lambda wildcards, input: dataset_of(wildcards).identity,
        cache=lambda wildcards, input: photo_cache(wildcards),
        strip=lambda wildcards: dataset_of(wildcards).strip,
        digest=photo_digest,
    script:
        "../scripts/index.py"
