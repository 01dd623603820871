"""What the rules share: the checked configuration, and functions that name inputs and params."""

import os
import re
import shlex
import signal
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

WORKFLOW = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(WORKFLOW))
# Where scripts find facefill, how their threads behave (see facefill/__init__.py), and whose end
# is theirs.
os.environ.update(
    PYTHONPATH=str(WORKFLOW),
    OMP_WAIT_POLICY="PASSIVE",
    OPENBLAS_NUM_THREADS="1",
    FACEFILL_SNAKEMAKE=str(os.getpid()),
)
# Where a training has several threads, a short spin spares most layers the wait for threads to wake
# up. Beside other work it costs: there, set GOMP_SPINCOUNT=0.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
# Snakemake loads pandas, if it is there, to compare params: 0.4 s for tables that ours never are.
# A workflow that takes this one as a module may need pandas itself.
if not workflow.modifier.is_module:
    sys.modules.setdefault("pandas", None)
# Snakemake puts the path of Python into a command line as it is.
sys.executable = shlex.quote(sys.executable)
if set("{}") & set(str(WORKFLOW)):
    sys.exit(
        f"facefill: {WORKFLOW.parent}: Snakemake takes braces in this path for wildcards; move the "
        "project to a folder without them"
    )

from facefill.core import photos
from facefill.config import check_yaml, load
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.holes import drawn_files
from facefill.core.machine import has_gpu, usable_cores, worthwhile_threads
from facefill.core.code import closure
from facefill.work import of_completion, of_training

try:
    check_yaml("config.yaml")
except FacefillError as error:
    sys.exit(f"facefill: {error}")


configfile: "config.yaml"


try:
    complete = load(config, WORKFLOW / "schemas" / "config.schema.yaml")
except FacefillError as error:
    sys.exit(f"facefill: {error}")
config.clear()
config.update(complete)


def notice(text):
    print(f"facefill: {text}", file=sys.stderr)


# Snakemake stops at both by itself, without a word about what to do.
if workflow.is_main_process and "--unlock" not in sys.argv:
    if os.path.isdir(".snakemake/locks") and os.listdir(".snakemake/locks"):
        notice(
            "this folder is locked: another run is at work in it, or one was killed; if none is "
            "at work, type `snakemake --unlock` (or `make run ARGS=--unlock`)"
        )
    for folder in ("results", f"results/{config['dataset']}"):
        if os.path.isdir(folder) and not os.access(folder, os.W_OK):
            notice(f"{folder}: cannot be written; make it writable and run again")
            break


def hand_sigterm_down():
    """Let SIGTERM stop the jobs, too: Snakemake alone would wait for the end of a training."""
    wait_for_jobs = signal.getsignal(signal.SIGTERM)

    def stop(number, frame):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.terminate()
        wait_for_jobs(number, frame)

    signal.signal(signal.SIGTERM, stop)


def must_exist(key, file):
    """Refuse a file that the configuration names and that is not there, before any job starts."""
    if not os.path.isfile(file):
        sys.exit(f"facefill: config: {key}: {file}: no such file; correct the path or put it there")


if config["align"]["predictor"]:
    must_exist("align.predictor", config["align"]["predictor"])


def one_of(names):
    """A regular expression for a wildcard that may be any of `names`, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def of_kind(table, *kinds):
    """The names in a table of the configuration whose entry is of one of `kinds`."""
    return [name for name, entry in config[table].items() if entry["kind"] in kinds]


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=one_of(config["models"]),
    mask=one_of(config["masks"]),
    method=one_of(config["methods"]),
    shard=r"\d+",


def code(script):
    """A rule's code is its input: its script, the modules that one imports, its .smk file.

    Relative to the project, so that results/ and .snakemake/ can move with it.
    """
    files = closure(WORKFLOW / "scripts" / f"{script}.py", [WORKFLOW / "scripts", WORKFLOW])
    files.append(WORKFLOW / "rules" / f"{script}.smk")
    return [os.path.relpath(file) for file in files]


# -- archives ----------------------------------------------------------------------------------


def archive_content(dataset):
    """What decides the content of an archive dataset: checksums, or addresses without one."""
    archive = config["datasets"][dataset]
    extras = {extra["name"]: extra["sha256"] or extra["urls"] for extra in archive["extras"]}
    return [archive["sha256"] or archive["urls"], extras]


# -- photos ------------------------------------------------------------------------------------


def photo_root(wildcards):
    """The folder of a dataset's photos."""
    dataset = config["datasets"][wildcards.dataset]
    return dataset["path"] if dataset["kind"] == "folder" else f"results/{wildcards.dataset}/raw"


@cache
def photo_hashes(dataset):
    """SHA-256 of every photo of a folder dataset by source: its photos are no Snakemake files."""
    try:
        return photos.cached_digests(
            Path(config["datasets"][dataset]["path"]), Path(".snakemake/facefill-photos.json")
        )
    except FacefillError as error:
        sys.exit(f"facefill: config: datasets.{dataset}.path: {error}")


@cache
def photo_digests(dataset):
    """The digest of all photos of a folder dataset, and those of its shards."""
    shards = [[] for _ in range(config["align"]["shards"])]
    for pair in photo_hashes(dataset).items():
        shards[photos.shard_of(pair[0], len(shards))].append(pair)
    everything = photos.digest(pair for shard in shards for pair in shard)
    return everything, [photos.digest(shard) for shard in shards]


def photo_digest(wildcards):
    """A digest of a folder dataset's photos, or of those of one shard; None for other kinds."""
    if config["datasets"][wildcards.dataset]["kind"] != "folder":
        return None
    everything, shards = photo_digests(wildcards.dataset)
    return shards[int(wildcards.shard)] if "shard" in wildcards.keys() else everything


def identity_table(wildcards):
    """The table of a folder dataset that says who is in a photo, if there is one."""
    dataset = config["datasets"][wildcards.dataset]
    identity = dataset.get("identity")
    if dataset["kind"] == "folder" and isinstance(identity, dict):
        table = os.path.join(dataset["path"], identity["table"])
        must_exist(f"datasets.{wildcards.dataset}.identity.table", table)
        return table
    return []


# -- cores and the GPU -------------------------------------------------------------------------


# One job that computes with networks at a time has the GPU; without one, cores alone limit them.
GPU_SLOTS = int(has_gpu(config["device"]))


def training_threads(wildcards):
    """The threads that a training's steps pay for, whatever --cores says."""
    step = of_training(config["models"][wildcards.model], config["models"], config["align"]["size"])
    return worthwhile_threads(step, usable_cores())


def completion_threads(wildcards):
    """The same of a completion by networks."""
    step = of_completion(
        config["methods"][wildcards.method], config["models"], config["align"]["size"]
    )
    return worthwhile_threads(step, usable_cores())


def asked_threads(rule, threads, worthwhile):
    """How many threads a job computes with: those of --set-threads, or those worthwhile."""
    return threads if rule in workflow.resource_settings.overwrite_threads else worthwhile


# -- models ------------------------------------------------------------------------------------


def model_file(model, file):
    """A file of a model, of the dataset at hand."""
    return f"results/{{dataset}}/models/{model}/{file}"


# -- masks -------------------------------------------------------------------------------------


@cache
def mask_settings(mask):
    """A mask's settings; of a drawn one with the checksums of its files."""
    settings = config["masks"][mask]
    if settings["kind"] != "file":
        return settings
    try:
        return settings | {
            "sha256": {file.name: sha256_file(file) for file in drawn_files(settings)}
        }
    except OSError as error:
        sys.exit(
            f"facefill: config: masks.{mask}.path: {error.filename}: cannot be read "
            f"({error.strerror}); put a PNG there"
        )


# -- the report --------------------------------------------------------------------------------


def compared():
    """The (mask, method) pairs of the report, in its order."""
    return [
        (mask, method)
        for mask in config["compare"]["masks"]
        for method in config["compare"]["methods"]
        if mask in (config["methods"][method]["masks"] or config["compare"]["masks"])
    ]


def completed():
    """The (mask, method) pairs that are completed: those compared, and their targets'."""
    targets = [(mask, config["methods"][method].get("target")) for mask, method in compared()]
    return [*dict.fromkeys([*compared(), *(pair for pair in targets if pair[1])])]


def faces_of(method):
    """How many test faces a method completes, at most."""
    return config["methods"][method]["faces"] or config["compare"]["faces"]


def completed_by(method):
    """What follows complete_ in the name of the rule that completes."""
    kind = config["methods"][method]["kind"]
    return kind if kind in ("latent", "feedforward") else "classical"


def method_settings(wildcards):
    """What decides a method's completions; how many are asked for, and where, is for the report."""
    settings = config["methods"][wildcards.method]
    return {key: value for key, value in settings.items() if key not in ("faces", "masks")}


def target_faces(wildcards):
    """The completions by the method that a search takes as a target, if it takes one."""
    target = config["methods"][wildcards.method]["target"]
    return f"results/{{dataset}}/completions/{{mask}}/{target}/faces" if target else []


def involved():
    """The compared methods and those whose completions are their targets, each once, by name."""
    names = [*config["compare"]["methods"], *(method for _, method in completed())]
    return {name: config["methods"][name] for name in names}


def compared_models(*kinds):
    """The models behind the compared methods, each once; of `kinds` alone where some are given."""
    used = [method.get(role) for method in involved().values() for role in ("model", "encoder")]
    models = dict.fromkeys(model for model in used if model)
    return [name for name in models if not kinds or config["models"][name]["kind"] in kinds]


def described_splits():
    """The splits whose true faces are compared with something: completions, or samples."""
    return ["test", "val"] if compared_models("dcgan") else ["test"]


def searched():
    """Those compared pairs whose method searches, as lists."""
    return [
        [mask, method]
        for mask, method in compared()
        if config["methods"][method]["kind"] == "latent"
    ]


def compared_files(file, kinds=None):
    """`file` of every compared completion, or of those whose method is of one of `kinds`."""
    return [
        f"results/{{dataset}}/completions/{mask}/{method}/{file}"
        for mask, method in compared()
        if kinds is None or config["methods"][method]["kind"] in kinds
    ]


def whole_build(dataset):
    """What belongs to a finished build: each stage's results, but for the raw photos."""
    top, shards = f"results/{dataset}", config["align"]["shards"]
    files = [f"{top}/report/index.html", f"{top}/manifest.csv", f"{top}/faces"]
    files += [
        f"{top}/aligned/shard-{shard}-of-{shards}.{kind}"
        for shard in range(shards)
        for kind in ("zip", "csv")
    ]
    files += [
        f"{top}/splits/{split}.{kind}"
        for split in ("train", "val", "test")
        for kind in ("npy", "csv")
    ]
    files += [f"{top}/splits/{split}_descriptors.npy" for split in described_splits()]
    files += [
        f"{top}/models/{model}/{file}"
        for model in compared_models()
        for file in ("weights.safetensors", "settings.json")
    ]
    files += [f"{top}/models/{model}/set_metrics.csv" for model in compared_models("dcgan")]
    files += [f"{top}/completions/{mask}/{method}/faces" for mask, method in completed()]
    files += [path.format(dataset=dataset) for path in compared_files("metrics.csv")]
    return files


def reported_config(wildcards):
    """The part of the configuration that made this report, for its provenance."""
    part = {key: config[key] for key in ("align", "split", "compare", "device", "seed")}
    part["dataset"] = wildcards.dataset
    part["datasets"] = {wildcards.dataset: config["datasets"][wildcards.dataset]}
    part["masks"] = {mask: config["masks"][mask] for mask in config["compare"]["masks"]}
    part["methods"] = involved()
    part["models"] = {model: config["models"][model] for model in compared_models()}
    return part


def timing_logs(wildcards):
    """Where the jobs behind the report noted how long they took."""
    dataset = config["datasets"][wildcards.dataset]
    shards = config["align"]["shards"]
    first = {"synthetic": ["render"], "archive": ["download"], "folder": []}[dataset["kind"]]
    jobs = [*first, "index"]
    jobs += [f"align/shard-{shard}-of-{shards}" for shard in range(shards)]
    jobs += ["flatten", "split", *(f"describe/{split}" for split in described_splits())]
    for model in compared_models():
        jobs.append(f"train_{config['models'][model]['kind']}/{model}")
    jobs += [f"measure_model/{model}" for model in compared_models("dcgan")]
    jobs += [f"complete_{completed_by(method)}/{mask}/{method}" for mask, method in completed()]
    jobs += [f"measure/{mask}/{method}" for mask, method in compared()]
    return [f"results/logs/{wildcards.dataset}/{job}.json" for job in jobs]


def publish_command(wildcards):
    """What to type to get this page again."""
    files = [os.path.relpath(file) for file in workflow.overwrite_configfiles]
    given = workflow.config_settings.config_args or []
    options = f" --configfile {' '.join(map(shlex.quote, files))}" if files else ""
    options += f" --config {' '.join(map(shlex.quote, given))}" if given else ""
    return f"snakemake docs/results-{wildcards.dataset}.md{options}"
