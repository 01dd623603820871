"""report: tables, figures and the page, from what all stages left."""


rule report:
    input:
        metrics=compared_files("metrics.csv"),
        set_metrics=compared_files("set_metrics.csv"),
        completions=compared_files("faces"),
        progress=compared_files("progress.gif", declared="progress"),
        search=compared_files("search.csv", declared="search"),
        completion_samples=compared_files("samples.npy", declared="samples"),
        histories=reported_models("history.csv"),
        losses=reported_models("losses.png"),
        samples=reported_models("samples.png"),
        samples_gif=reported_models("samples.gif"),
        settings=reported_models("settings.json"),
        weights=reported_models("weights.safetensors"),
        model_metrics=reported_models("set_metrics.csv", "generator"),
        manifest="results/{dataset}/manifest.csv",
        faces_sheet="results/{dataset}/faces.png",
        train_csv="results/{dataset}/splits/train.csv",
        val_csv="results/{dataset}/splits/val.csv",
        test_csv="results/{dataset}/splits/test.csv",
        train_npy="results/{dataset}/splits/train.npy",
        val_npy="results/{dataset}/splits/val.npy",
        test_npy="results/{dataset}/splits/test.npy",
        template="workflow/report/page.html.j2",
        captions=[os.path.relpath(file) for file in sorted((WORKFLOW / "report").glob("*.rst"))],
    output:
        metrics=report(
            "results/{dataset}/report/metrics.csv",
            caption="../report/metrics.rst",
            category="Measures",
            labels={"dataset": "{dataset}", "what": "every face"},
        ),
        summary=report(
            "results/{dataset}/report/summary.csv",
            caption="../report/summary.rst",
            category="Summary",
            labels={"dataset": "{dataset}", "what": "summary"},
        ),
        differences=report(
            "results/{dataset}/report/differences.csv",
            caption="../report/differences.rst",
            category="Summary",
            labels={"dataset": "{dataset}", "what": "differences"},
        ),
        set_metrics=report(
            "results/{dataset}/report/set_metrics.csv",
            caption="../report/set_metrics.rst",
            category="Measures",
            labels={"dataset": "{dataset}", "what": "whole sets"},
        ),
        model_metrics=report(
            "results/{dataset}/report/model_metrics.csv",
            caption="../report/model_metrics.rst",
            category="Models",
            labels={"dataset": "{dataset}", "what": "likeness of samples"},
        ),
        completion=report(
            "results/{dataset}/report/completion.gif",
            caption="../report/completion.rst",
            category="Summary",
            labels={"dataset": "{dataset}", "what": "completion"},
        ),
        masks=report(
            "results/{dataset}/report/masks.png",
            caption="../report/masks.rst",
            category="Completions",
            labels={"dataset": "{dataset}", "what": "masks"},
        ),
        best=report(
            "results/{dataset}/report/best.png",
            caption="../report/examples.rst",
            category="Completions",
            labels={"dataset": "{dataset}", "what": "best faces"},
        ),
        median=report(
            "results/{dataset}/report/median.png",
            caption="../report/examples.rst",
            category="Completions",
            labels={"dataset": "{dataset}", "what": "median faces"},
        ),
        worst=report(
            "results/{dataset}/report/worst.png",
            caption="../report/examples.rst",
            category="Completions",
            labels={"dataset": "{dataset}", "what": "worst faces"},
        ),
        samples_png=report(
            "results/{dataset}/report/samples.png",
            caption="../report/completion_samples.rst",
            category="Completions",
            labels={"dataset": "{dataset}", "what": "several samples"},
        ),
        search_png=report(
            "results/{dataset}/report/search.png",
            caption="../report/search.rst",
            category="Measures",
            labels={"dataset": "{dataset}", "what": "searches"},
        ),
        metrics_png=report(
            "results/{dataset}/report/metrics.png",
            caption="../report/distributions.rst",
            category="Measures",
            labels={"dataset": "{dataset}", "what": "distributions"},
        ),
        timings=report(
            "results/{dataset}/report/timings.csv",
            caption="../report/timings.rst",
            category="Provenance",
            labels={"dataset": "{dataset}", "what": "timings"},
        ),
        timings_png=report(
            "results/{dataset}/report/timings.png",
            caption="../report/timings.rst",
            category="Provenance",
            labels={"dataset": "{dataset}", "what": "timings, drawn"},
        ),
        provenance=report(
            "results/{dataset}/report/provenance.json",
            caption="../report/provenance.rst",
            category="Provenance",
            labels={"dataset": "{dataset}", "what": "provenance"},
        ),
        index=report(
            "results/{dataset}/report/index.html",
            caption="../report/page.rst",
            category="Summary",
            labels={"dataset": "{dataset}", "what": "the page"},
        ),
    log:
        text="results/logs/{dataset}/report.log",
        timing="results/logs/{dataset}/report.json",
    benchmark:
        "results/benchmarks/{dataset}/report.tsv"
    conda:
        "../../envs/facefill.yaml"
    params:
        code=report_code(),
        dataset=lambda wildcards: wildcards.dataset,
        pairs=[list(pair) for pair in compared_pairs()],
        iterative=searched_pairs(),
        models=models_in_report(),
        measured_models=models_in_report("generator"),
        searched_models={
            method: config["methods"][method]["model"] for _, method in searched_pairs()
        },
        limits={method: faces_of(method) for method in config["compare"]["methods"]},
        masks={mask: mask_settings(mask) for mask in config["compare"]["masks"]},
        zoom=config["align"]["zoom"],
        config=reported_config,
        captions={
            model: kind_of("models", config["models"][model]).captions
            for model in models_in_report()
        },
        timings=timing_logs,
    script:
        "../scripts/report.py"
