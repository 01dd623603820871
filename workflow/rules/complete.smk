"""One rule per kind of method: fill the test faces' holes."""

for kind, declared in kinds("methods").items():

    rule:
        name:
            f"complete_{kind}"
        input:
            unpack(completion_inputs),
            npy="results/{dataset}/splits/test.npy",
            csv="results/{dataset}/splits/test.csv",
        output:
            faces=directory("results/{dataset}/completions/{mask}/{method}/faces"),
            grid=completion_output("grid.png", "grid", "faces"),
            extra=[extra_output(file) for file in declared.extra],
        log:
            text=f"results/logs/{{dataset}}/complete_{kind}/{{mask}}/{{method}}.log",
            timing=f"results/logs/{{dataset}}/complete_{kind}/{{mask}}/{{method}}.json",
        benchmark:
            f"results/benchmarks/{{dataset}}/complete_{kind}/{{mask}}/{{method}}.tsv"
        wildcard_constraints:
            method=any_of(entries_of("methods", kind)),
        conda:
            "../../envs/facefill.yaml"
        threads: completion_threads
        resources:
            mem_mb=memory(3000, gpu=GPU_SLOTS if computes_on_gpu(declared) else 0),
            runtime=hours(12),
            gpu=GPU_SLOTS if computes_on_gpu(declared) else 0,
        params:
            mask_content=lambda wildcards: mask_content(wildcards.mask),
            # What decides is the content. Params that take `input` trigger nothing.
            mask=lambda wildcards, input: config["masks"][wildcards.mask],
            zoom=config["align"]["zoom"],
            method_content=lambda wildcards: method_content(wildcards.method),
            method=lambda wildcards, input: method_settings(wildcards.method),
            faces=lambda wildcards: faces_of(wildcards.method),
            seed=config["seed"] if declared.references("models") else 0,
            device=config["device"] if computes_on_gpu(declared) else "cpu",
            code=completion_code,
            # Takes `threads`, so that another machine is no reason to run again.
            threads=lambda wildcards, threads: asked_threads(
                f"complete_{config['methods'][wildcards.method]['kind']}",
                threads,
                completion_threads(wildcards),
            ),
        script:
            "../scripts/complete.py"
