"""report: tables, figures and the page, from what all stages left."""


rule report:
    input:
        metrics=compared_files("metrics.csv"),
        set_metrics=compared_files("set_metrics.csv"),
        training_metrics=training_files("metrics.csv"),
        training_set_metrics=training_files("set_metrics.csv"),
        completions=compared_files("faces"),
        progress=compared_files("progress.gif", declared="progress"),
        search=compared_files("search.csv", declared="search"),
        completion_samples=compared_files("samples.npy", declared="samples"),
        interpolation=compared_files("interpolation.gif", declared="interpolation"),
        histories=reported_models("history.csv"),
        losses=reported_models("losses.png"),
        samples=reported_models("samples.png"),
        samples_gif=reported_models("samples.gif"),
        settings=reported_models("settings.json"),
        weights=reported_models("weights.safetensors"),
        model_metrics=lambda wildcards: [
            f"results/{wildcards.dataset}/models/{model}/set_metrics.csv"
            for model in measured_models(wildcards.dataset)
        ],
        origin=origin,
        manifest="results/{dataset}/manifest.csv",
        faces_sheet="results/{dataset}/faces.png",
        train_csv="results/{dataset}/splits/train.csv",
        val_csv="results/{dataset}/splits/val.csv",
        test_csv="results/{dataset}/splits/test.csv",
        train_npy="results/{dataset}/splits/train.npy",
        val_npy="results/{dataset}/splits/val.npy",
        test_npy="results/{dataset}/splits/test.npy",
        timings=stored_timings,
    output:
        metrics=report_output("metrics.csv", "metrics", "Measures", "every face"),
        summary=report_output("summary.csv", "summary", "Summary", "summary"),
        differences=report_output("differences.csv", "differences", "Summary", "differences"),
        set_metrics=report_output("set_metrics.csv", "set_metrics", "Measures", "whole sets"),
        trainings=report_output("trainings.csv", "trainings", "Summary", "trainings"),
        model_metrics=report_output(
            "model_metrics.csv", "model_metrics", "Models", "likeness of samples"
        ),
        completion=report_output("completion.gif", "completion", "Summary", "completion"),
        masks=report_output("masks.png", "masks", "Completions", "masks"),
        best=report_output("best.png", "examples", "Completions", "best faces"),
        median=report_output("median.png", "examples", "Completions", "median faces"),
        worst=report_output("worst.png", "examples", "Completions", "worst faces"),
        samples_png=report_output(
            "samples.png", "completion_samples", "Completions", "several samples"
        ),
        reliability_png=report_output(
            "reliability.png", "reliability", "Measures", "reliability of samples"
        ),
        search_png=report_output("search.png", "search", "Measures", "searches"),
        perception_png=report_output(
            "perception.png", "perception", "Summary", "perception and distortion"
        ),
        metrics_png=report_output("metrics.png", "distributions", "Measures", "distributions"),
        timings=report_output("timings.csv", "timings", "Provenance", "timings"),
        timings_png=report_output("timings.png", "timings", "Provenance", "timings, drawn"),
        provenance=report_output("provenance.json", "provenance", "Provenance", "provenance"),
        index=report_output("index.html", "page", "Summary", "the page"),
    log:
        text="results/logs/{dataset}/report.log",
        timing="results/logs/{dataset}/report.json",
    benchmark:
        "results/benchmarks/{dataset}/report.tsv"
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=hours(1),
    params:
        code=report_code(),
        # Snakemake's own report shows the captions. Their dates do not count.
        texts=checksums_of("page.html.j2", "*.rst"),
        template=lambda wildcards, input: str(WORKFLOW / "report" / "page.html.j2"),
        dataset=lambda wildcards: wildcards.dataset,
        pairs=[list(pair) for pair in compared_pairs()],
        trainings=[[mask, method, number] for mask, method, number, _ in further_trainings()],
        iterative=pairs_declaring("search"),
        sampled=pairs_declaring("samples"),
        walked=pairs_declaring("interpolation"),
        mean_first=[
            method
            for method in config["compare"]["methods"]
            if kind_of("methods", config["methods"][method]).mean_first
        ],
        models=lambda wildcards: models_in_report(wildcards.dataset),
        measured_models=lambda wildcards: measured_models(wildcards.dataset),
        searched_models={
            method: config["methods"][method]["model"] for _, method in pairs_declaring("search")
        },
        limits={method: faces_of(method) for method in config["compare"]["methods"]},
        mask_contents={mask: mask_content(mask) for mask in config["compare"]["masks"]},
        masks=lambda wildcards, input: {
            mask: config["masks"][mask] for mask in config["compare"]["masks"]
        },
        zoom=config["align"]["zoom"],
        config=reported_config,
        captions=lambda wildcards: {
            model: kind_of("models", config["models"][model]).captions
            for model in models_in_report(wildcards.dataset)
        },
        timings=timing_logs,
    script:
        "../scripts/report.py"
