"""complete_latent: fill the test faces' holes by searching a generator's z."""


rule complete_latent:
    input:
        npy="results/{dataset}/splits/test.npy",
        csv="results/{dataset}/splits/test.csv",
        weights=lambda wildcards: model_file(
            config["methods"][wildcards.method]["model"], "weights.safetensors"
        ),
        settings=lambda wildcards: model_file(
            config["methods"][wildcards.method]["model"], "settings.json"
        ),
        encoder=lambda wildcards: [
            model_file(config["methods"][wildcards.method]["encoder"], file)
            for file in ("weights.safetensors", "settings.json")
            if config["methods"][wildcards.method]["encoder"]
        ],
        target=target_faces,
        code=code("complete_latent"),
    output:
        faces=directory("results/{dataset}/completions/{mask}/{method}/faces"),
        grid=report(
            "results/{dataset}/completions/{mask}/{method}/grid.png",
            caption="../report/grid.rst",
            category="Completions",
            subcategory="{mask}",
            labels={"mask": "{mask}", "method": "{method}", "what": "faces"},
        ),
        progress=report(
            "results/{dataset}/completions/{mask}/{method}/progress.gif",
            caption="../report/progress.rst",
            category="Completions",
            subcategory="{mask}",
            labels={"mask": "{mask}", "method": "{method}", "what": "search"},
        ),
        search="results/{dataset}/completions/{mask}/{method}/search.csv",
        z="results/{dataset}/completions/{mask}/{method}/z.npy",
        samples="results/{dataset}/completions/{mask}/{method}/samples.npy",
    log:
        text="results/logs/{dataset}/complete_latent/{mask}/{method}.log",
        timing="results/logs/{dataset}/complete_latent/{mask}/{method}.json",
    benchmark:
        "results/benchmarks/{dataset}/complete_latent/{mask}/{method}.tsv"
    wildcard_constraints:
        method=one_of(of_kind("methods", "latent")),
    conda:
        "../../envs/facefill.yaml"
    threads: completion_threads
    resources:
        gpu=GPU_SLOTS,
    params:
        mask=lambda wildcards: mask_settings(wildcards.mask),
        zoom=config["align"]["zoom"],
        method=method_settings,
        faces=lambda wildcards: faces_of(wildcards.method),
        seed=config["seed"],
        device=config["device"],
        # Takes `threads`, so that another machine is no reason to run again.
        threads=lambda wildcards, threads: asked_threads(
            "complete_latent", threads, completion_threads(wildcards)
        ),
    script:
        "../scripts/complete_latent.py"
