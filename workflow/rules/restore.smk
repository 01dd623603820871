"""restore: fill the holes of photographs, in the photographs themselves."""


rule restore:
    input:
        lambda wildcards: restored_sets(),
    localrule: True


rule restore_set:
    input:
        unpack(lambda wildcards: inputs_of_methods(restored_methods(wildcards), wildcards.dataset)),
    output:
        photos=directory("results/{dataset}/restored/{set}/photos"),
        faces=directory("results/{dataset}/restored/{set}/faces"),
        manifest="results/{dataset}/restored/{set}/manifest.csv",
        page=directory("results/{dataset}/restored/{set}/page"),
        overview="results/{dataset}/restored/{set}/overview.png",
        index="results/{dataset}/restored/{set}/index.html",
        paint="results/{dataset}/restored/{set}/paint.html",
    log:
        text="results/logs/{dataset}/restore/{set}.log",
        timing="results/logs/{dataset}/restore/{set}.json",
    benchmark:
        "results/benchmarks/{dataset}/restore/{set}.tsv"
    wildcard_constraints:
        set=any_of(config["restore"]),
    conda:
        "../../envs/facefill.yaml"
    threads: lambda wildcards: threads_of_methods(restored_methods(wildcards))
    resources:
        mem_mb=memory(3000, gpu=restoring_slots),
        runtime=hours(12),
        gpu=restoring_slots,
    params:
        code=restoring_code,
        digest=lambda wildcards: photograph_digest(wildcards.set),
        content=lambda wildcards: restoring_content(wildcards.set),
        align=alignment_settings(),
        method_contents=lambda wildcards: {
            method: method_content(method) for method in restored_methods(wildcards)
        },
        shape=CHECKSUMS.sha256(WORKFLOW / "facefill" / "restore" / "shape.csv"),
        seed=config["seed"],
        device=lambda wildcards: device_of_methods(restored_methods(wildcards)),
        texts=checksums_of("restored.html.j2", "paint.html"),
        # What decides is the content. Params that take `input` or `threads` trigger nothing.
        root=lambda wildcards, input: config["restore"][wildcards.set]["path"],
        table=lambda wildcards, input: table_of_faces(wildcards.set),
        predictor=lambda wildcards, input: config["align"]["predictor"],
        mask=lambda wildcards, input: config["masks"].get(config["restore"][wildcards.set]["hole"]),
        methods=lambda wildcards, input: {
            method: method_settings(method) for method in restored_methods(wildcards)
        },
        templates=lambda wildcards, input: str(WORKFLOW / "report"),
        threads=lambda wildcards, threads: asked_threads(
            "restore_set", threads, threads_of_methods(restored_methods(wildcards))
        ),
        # Unknown to Snakemake, so that what is already restored is not restored again.
        kept="results/{dataset}/restored/.kept/{set}",
    script:
        "../scripts/restore.py"
