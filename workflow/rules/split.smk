"""split: faces of different people for training, validation and test, as arrays."""


rule split:
    input:
        faces="results/{dataset}/faces",
        manifest="results/{dataset}/manifest.csv",
    output:
        train="results/{dataset}/splits/train.npy",
        val="results/{dataset}/splits/val.npy",
        test="results/{dataset}/splits/test.npy",
        train_table="results/{dataset}/splits/train.csv",
        val_table="results/{dataset}/splits/val.csv",
        test_table="results/{dataset}/splits/test.csv",
        near_duplicates="results/{dataset}/splits/near_duplicates.csv",
    log:
        text="results/logs/{dataset}/split.log",
        timing="results/logs/{dataset}/split.json",
    benchmark:
        "results/benchmarks/{dataset}/split.tsv"
    wildcard_constraints:
        dataset=any_of(OTHERS),
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=hours(4),
    params:
        code=code("split"),
        # One dict: Snakemake compares params without their names, so that two would be swapped
        # unnoticed.
        settings=config["split"],
    script:
        "../scripts/split.py"
