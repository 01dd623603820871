"""bundle: one file with the networks behind the compared methods, for use without training."""


rule bundle:
    input:
        weights=bundled_files("weights.safetensors"),
        settings=bundled_files("settings.json"),
        histories=bundled_files("history.csv"),
        losses=bundled_files("losses.png"),
        samples=bundled_files("samples.png"),
        samples_gif=bundled_files("samples.gif"),
        index="results/{dataset}/index.csv",
        starts=bundled_starts(),
        train_npy="results/{dataset}/splits/train.npy",
        val_npy="results/{dataset}/splits/val.npy",
        train_csv="results/{dataset}/splits/train.csv",
        val_csv="results/{dataset}/splits/val.csv",
        test_csv="results/{dataset}/splits/test.csv",
        # The card has its table.
        summary="results/{dataset}/report/summary.csv",
    output:
        "results/{dataset}/bundle.zip",
    log:
        text="results/logs/{dataset}/bundle.log",
        timing="results/logs/{dataset}/bundle.json",
    benchmark:
        "results/benchmarks/{dataset}/bundle.tsv"
    wildcard_constraints:
        dataset=any_of(OTHERS),  # a transfer has the models of another, whose bundle serves
    conda:
        "../../envs/facefill.yaml"
    threads: lambda wildcards: threads_of_methods(bundled_methods())
    resources:
        mem_mb=memory(3000, gpu=slots_of_methods(bundled_methods())),
        runtime=hours(12),
        gpu=slots_of_methods(bundled_methods()),
    params:
        facts=bundle_facts,
        models=bundled_models(),
        methods={method: method_settings(method) for method in bundled_methods()},
        pairs=bundled_pairs(),
        mask_contents={mask: mask_content(mask) for mask, _ in bundled_pairs()},
        # What decides is the content. Params that take `input` trigger nothing.
        masks=lambda wildcards, input: {mask: config["masks"][mask] for mask, _ in bundled_pairs()},
        zoom=config["align"]["zoom"],
        seed=config["seed"],
        device=device_of_methods(bundled_methods()),
        code=bundle_code,
        texts=lambda wildcards: checksums_of("card.md.j2", "../../LICENSE"),
        template=lambda wildcards, input: str(WORKFLOW / "report" / "card.md.j2"),
        licence=lambda wildcards, input: str(WORKFLOW.parent / "LICENSE"),
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "bundle", threads, threads_of_methods(bundled_methods())
        ),
    script:
        "../scripts/bundle.py"
