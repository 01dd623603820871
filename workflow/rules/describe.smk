"""describe: dlib's descriptors and landmarks of true faces, for all that is compared with them."""

# At most: KID's kernels have as many rows and columns. Of the test split more where a method
# completes more; most reports need fewer, so that another `compare.faces` describes nothing anew.
# Of the training split all, for a transfer, which must know everybody who was in training.
DESCRIBED = 2000


rule describe:
    input:
        npy="results/{dataset}/splits/{split}.npy",
        csv="results/{dataset}/splits/{split}.csv",
    output:
        descriptors="results/{dataset}/splits/{split}_descriptors.npy",
        landmarks="results/{dataset}/splits/{split}_landmarks.npy",
    log:
        text="results/logs/{dataset}/describe/{split}.log",
        timing="results/logs/{dataset}/describe/{split}.json",
    benchmark:
        "results/benchmarks/{dataset}/describe/{split}.tsv"
    wildcard_constraints:
        split="train|val|test",
    conda:
        "../../envs/facefill.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=hours(4),
    params:
        code=code("describe"),
        zoom=config["align"]["zoom"],
        # Another one changes the faces already.
        predictor=lambda wildcards, input: config["align"]["predictor"],
        faces=lambda wildcards: {
            "train": sys.maxsize,
            "val": DESCRIBED,
            "test": max(DESCRIBED, *map(faces_of, config["methods"])),
        }[wildcards.split],
    script:
        "../scripts/describe.py"
