"""What the rules share: the checked configuration, and functions that name inputs and params."""

import atexit
import os
import re
import shlex
import shutil
import signal
import sys
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
from snakemake.resources import Resource
from snakemake.utils import available_cpu_count, update_config

# Not `workflow.basedir`, which is the folder of the workflow that takes this one as a module.
WORKFLOW = Path(str(workflow.current_basedir)).parent
if not WORKFLOW.is_dir():
    sys.exit(
        f"facefill: {workflow.current_basedir}: not a folder; clone facefill, and name its path"
    )
# Another workflow takes this one as a module (docs/cluster.md).
IMPORTED = workflow.modifier.parent_modifier is not None
sys.path.insert(0, str(WORKFLOW))
# Scripts find facefill by PYTHONPATH, before what the user has there. On another node every job
# parses this file, so that it is set there, too.
given_path = os.getenv("PYTHONPATH", "").split(os.pathsep)
os.environ.update(
    PYTHONPATH=os.pathsep.join(dict.fromkeys([str(WORKFLOW), *filter(None, given_path)])),
)
if not IMPORTED:  # threads wait without spinning: see facefill/__init__.py
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", OPENBLAS_NUM_THREADS="1")
# Where a training has several threads, a short spin spares most layers the wait for threads to wake
# up. Beside other work it costs: there, set GOMP_SPINCOUNT=0.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
# Snakemake loads pandas, if it is there, to compare params: 0.4 s for tables that ours never are.
# A workflow that takes this one as a module may need pandas itself.
if not IMPORTED:
    sys.modules.setdefault("pandas", None)
# Snakemake puts the path of Python into a command line as it is.
sys.executable = shlex.quote(sys.executable)
if set("{}") & set(str(WORKFLOW)):
    sys.exit(
        f"facefill: {WORKFLOW.parent}: Snakemake takes braces in this path for wildcards; move the "
        "project to a folder without them"
    )

from facefill.config import load, named_by, read_yaml, with_bases
from facefill.core import listings, photos
from facefill.core.checksums import Checksums
from facefill.core.code import Code
from facefill.core.errors import FacefillError
from facefill.core.machine import has_gpu, usable_cores, worthwhile_threads
from facefill.core.processes import named
from facefill.kinds import kind_of, kinds, make
from facefill.methods import ASKED, EXTRA
from facefill.metrics import face_metrics, set_metrics
from facefill.trainings import trainings

os.environ.update(FACEFILL_SNAKEMAKE=named())  # scripts end when this process does

# Of the working directory, else the project's own: snakemake -s PROJECT/Snakefile, --directory.
CONFIG = "config.yaml"
if IMPORTED or not os.path.exists(CONFIG):
    CONFIG = str(WORKFLOW.parent / CONFIG)
try:
    read_yaml(CONFIG)
except FacefillError as error:
    sys.exit(f"facefill: {error}")


configfile: CONFIG


try:
    if IMPORTED:  # the importing workflow's table is laid over the project's own configuration
        given, config = config, read_yaml(CONFIG)
        update_config(config, given)
    checked = load(config, [] if IMPORTED else workflow.config_settings.config_args or [])
except FacefillError as error:
    sys.exit(f"facefill: {error}")
config.clear()
config.update(checked)


def notice(text):
    print(f"facefill: {text}", file=sys.stderr)


def explain_lock():
    """Say what to do about a lock that has kept this run from starting."""
    persistence = workflow.persistence
    if not STARTED and not workflow.dryrun and persistence is not None and persistence.locked:
        notice(
            "this folder is locked: another run is at work in it, or one was killed; if none is "
            "at work, type `snakemake --unlock` (or `make run ARGS=--unlock`)"
        )


STARTED = []  # the time at which the jobs begin
# Snakemake stops at both by itself, without a word about what to do.
if workflow.is_main_process and not IMPORTED and "--unlock" not in sys.argv:
    atexit.register(explain_lock)
    for folder in ("results", f"results/{config['dataset']}"):
        if os.path.isdir(folder) and not os.access(folder, os.W_OK):
            notice(f"{folder}: cannot be written; make it writable and run again")
            break


def begin():
    """Prepare for the jobs, which begin now."""
    STARTED.append(time.time())
    for folder in Path(".snakemake/facefill-kept/results/logs").glob("*"):
        if not os.path.isdir(f"results/{folder.name}"):  # deleted, to have the space or a new start
            shutil.rmtree(folder)
    # SIGTERM stops the jobs, too: Snakemake alone would wait for the end of a training.
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


def any_of(names):
    """A regular expression for a wildcard that may be any of `names`, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def entries_of(table, kind):
    """The names in a table of the configuration whose entry is of `kind`."""
    return [name for name, entry in config[table].items() if entry["kind"] == kind]


def models_providing(what):
    """The models whose kind provides something."""
    return [k for k, model in config["models"].items() if kind_of("models", model).provides == what]


# Data sets without photos of their own: their rules are in transfer.smk, those of others from raw to
# train are not for them.
TRANSFERS = entries_of("datasets", "transfer")
OTHERS = [name for name in config["datasets"] if name not in TRANSFERS]


wildcard_constraints:
    dataset=any_of(config["datasets"]),
    model=any_of(config["models"]),
    mask=any_of(config["masks"]),
    method=any_of(config["methods"]),
    shard=r"\d+",


# -- code and other files --------------------------------------------------------------------------------------


CHECKSUMS = Checksums(Path(".snakemake/facefill-files.json"))
atexit.register(CHECKSUMS.save)
CODE = Code([WORKFLOW / "scripts", WORKFLOW], Path(".snakemake/facefill-code.json"))
atexit.register(CODE.save)  # params read code until the last job has been planned


def code(script, *modules, presentation=False):
    """A digest of what a script and modules of facefill compute (facefill/core/code.py)."""
    return CODE.digest([script, *(f"facefill.{module}" for module in modules)], presentation)


def kind_module(table, name):
    """The module of an entry's kind."""
    return f"{table}.{config[table][name]['kind']}"


def training_code(wildcards):
    """The code of a model, and of the masks that it is trained under."""
    settings = config["models"][wildcards.model]
    masks = {f"masks.{mask['kind']}" for mask in settings.get("masks", [])}
    return code("train", kind_module("models", wildcards.model), *masks)


def code_of_methods(script, methods, masks):
    """The code of a script that completes by methods under masks, and of their models."""
    models = named_by("methods", methods, "models", config)
    return code(
        script,
        *(kind_module("masks", mask) for mask in masks),
        *(kind_module("methods", method) for method in methods),
        *(kind_module("models", model) for model in models),
    )


def completion_code(wildcards):
    """The code of a method, its models and its mask."""
    return code_of_methods("complete", [wildcards.method], [wildcards.mask])


def measuring_code(wildcards):
    """The code of all measures of completions, and of the mask."""
    metrics = [*face_metrics(), *set_metrics("completions"), *set_metrics("samples")]
    modules = [f"metrics.{metric}" for metric in metrics]
    return code("measure", kind_module("masks", wildcards.mask), *modules)


def checksums_of(*patterns):
    """The checksums of files in workflow/report."""
    files = [file for pattern in patterns for file in sorted((WORKFLOW / "report").glob(pattern))]
    return {file.name: CHECKSUMS.sha256(file) for file in files}


def report_code():
    """The code of the report, the words of all measures among it, and of its masks."""
    masks = [kind_module("masks", mask) for mask in config["compare"]["masks"]]
    metrics = [f"metrics.{metric}" for metric in kinds("metrics")]
    return code("report", *masks, *metrics, presentation=True)


# -- photos ------------------------------------------------------------------------------------


def dataset_of(wildcards):
    """The kind of a data set, with its settings."""
    return make("datasets", config["datasets"][wildcards.dataset])


def raw_photos(wildcards):
    """The photos that a rule makes; those of a folder are no files of Snakemake."""
    return f"results/{wildcards.dataset}/raw" if dataset_of(wildcards).rule else []


def photo_root(wildcards, input):
    """The folder of a dataset's photos."""
    return input.raw or dataset_of(wildcards).path


# What is remembered of the photos of folders; they are no Snakemake files.
PHOTO_CACHE = ".snakemake/facefill-photos.json"
PHOTO_LISTINGS = ".snakemake/facefill-listings"


def photo_cache(wildcards):
    """The file that remembers the photos of a folder dataset; None where raw/ is made."""
    return None if dataset_of(wildcards).rule else PHOTO_CACHE


def photo_listings(wildcards):
    """The folder that lists the photos of a folder dataset; None where raw/ is made."""
    return None if dataset_of(wildcards).rule else f"{PHOTO_LISTINGS}/{wildcards.dataset}"


@cache
def photo_digests(dataset):
    """The digest of all photos of a folder dataset, and those of its shards."""
    path, shards = config["datasets"][dataset]["path"], config["align"]["shards"]
    folder = f"{PHOTO_LISTINGS}/{dataset}"
    # A job on another node was planned with what lies there: it neither walks nor hashes again.
    planned = None
    if not workflow.is_main_process:
        planned = listings.planned_digests(folder, path, shards)
    try:
        return planned or listings.write_listings(
            folder, path, photos.cached_digests(path, PHOTO_CACHE), shards
        )
    except FacefillError as error:
        sys.exit(f"facefill: config: datasets.{dataset}.path: {error}")


def photo_digest(wildcards):
    """A digest of photos that lie in a folder, or of those of one shard; None where raw/ is made."""
    if dataset_of(wildcards).rule:
        return None
    everything, shards = photo_digests(wildcards.dataset)
    return shards[int(wildcards.shard)] if "shard" in wildcards.keys() else everything


def identity(wildcards):
    """What decides who is in a photo: the content of a folder's table, not its path or date."""
    dataset = dataset_of(wildcards)
    if not isinstance(dataset.identity, dict) or dataset.rule:
        return dataset.identity
    table = os.path.join(dataset.path, os.path.expanduser(dataset.identity["table"]))
    must_exist(f"datasets.{wildcards.dataset}.identity.table", table)
    return {"table": CHECKSUMS.sha256(table)}


def raw_content(wildcards):
    """What decides the photos of a data set that makes raw/."""
    return dataset_of(wildcards).content(CHECKSUMS.sha256)


def alignment_settings():
    """What decides an alignment: of the landmark model its content, not its path or date."""
    predictor = config["align"]["predictor"]
    return config["align"] | {"predictor": predictor and CHECKSUMS.sha256(predictor)}


# -- transfers ---------------------------------------------------------------------------------


def by_bundle(dataset):
    """Whether a data set has the models of a bundle: no photos or descriptors of training faces."""
    return dataset in TRANSFERS and bool(make("datasets", config["datasets"][dataset]).bundle)


@cache
def bundle_contents(dataset):
    """What a transfer's bundle says of itself, if it fits; None where it is to be downloaded."""
    transfer, key = make("datasets", config["datasets"][dataset]), f"datasets.{dataset}"
    if transfer.bundle_file is None:
        return None
    must_exist(f"{key}.models_of", transfer.bundle_file)
    from facefill.bundle.read import open_bundle

    try:
        contents = open_bundle(transfer.bundle_file).contents
        transfer.check_bundle(key, contents, alignment_settings())
    except FacefillError as error:
        sys.exit(f"facefill: {error}")
    return contents


def taken(wildcards, folder, **files):
    """Files of the data set that has a transfer's models, by name; or the bundle that has them."""
    transfer = dataset_of(wildcards)
    if not transfer.bundle:
        return {
            name: f"results/{transfer.models_of}/{folder}/{file}" for name, file in files.items()
        }
    contents = bundle_contents(wildcards.dataset)
    if contents and "model" in wildcards.keys():
        try:
            transfer.check_model(
                f"datasets.{wildcards.dataset}",
                contents,
                wildcards.model,
                config["models"][wildcards.model]["kind"],
            )
        except FacefillError as error:
            sys.exit(f"facefill: {error}")
    return {"bundle": f"results/{wildcards.dataset}/models_of.zip"}


def completed_dataset(wildcards):
    """The data set whose faces a transfer completes."""
    faces_of = dataset_of(wildcards).faces_of
    if faces_of is None:
        sys.exit(
            f"facefill: config: datasets.{wildcards.dataset}.faces_of is null, so that there are "
            "no test faces; name the data set whose faces are to be completed, or type "
            "`snakemake restore`"
        )
    return faces_of


def split_inputs(wildcards):
    """What a transfer's test split is chosen by: the faces, and what the models were trained on."""
    top = f"results/{wildcards.dataset}"
    files = {"faces": f"{top}/faces", "manifest": f"{top}/manifest.csv"}
    files["index"] = f"results/{completed_dataset(wildcards)}/index.csv"
    described = {f"{name}_descriptors": f"{name}_descriptors.npy" for name in ("train", "val")}
    found = taken(wildcards, "splits", **described)
    if "bundle" not in found:
        found["seen"] = f"results/{dataset_of(wildcards).models_of}/index.csv"
        for name in ("train", "val"):
            found |= {name: f"{top}/splits/{name}.npy", f"{name}_table": f"{top}/splits/{name}.csv"}
    return files | found


def origin(wildcards):
    """What says where a transfer's models and faces come from; other data sets have none."""
    transfer = wildcards.dataset in TRANSFERS
    return f"results/{wildcards.dataset}/splits/origin.json" if transfer else []


# -- what jobs take ----------------------------------------------------------------------------


# `cores: all` counts the machine's cores, also in a container that may use fewer.
granted = workflow.global_resources["_cores"].value
if workflow.is_main_process and granted == available_cpu_count() > usable_cores():
    workflow.global_resources["_cores"] = Resource("_cores", usable_cores())
GPU_SLOTS = int(has_gpu(config["device"]))  # of a job that computes with networks


def set_limits_once():
    """Set what depends on the command line: called when the first job is planned, and it is known."""
    if workflow.is_main_process and workflow.executor_plugin is not None:
        set_limits()


@cache
def set_limits():
    """Set the limits of this run.

    Here one job at a time has the GPU, unless --resources says more, and an error is told once:
    `retries` of rules are for nodes that fail. On other nodes this machine's cores limit nothing,
    which `cores: all` of the default profile would.
    """
    os.environ.pop("FACEFILL_FORCED", None)
    asked, limits = workflow.dag_settings, workflow.global_resources
    if asked.forceall or asked.forcerun or asked.forcetargets:
        os.environ.update(FACEFILL_FORCED="yes")  # results that are kept do not count
    if not workflow.local_exec:
        limits["_cores"] = Resource("_cores", workflow.resource_settings.max_threads)
        return
    for each in workflow.rules:
        if each.module_globals is globals():  # and not of a workflow that imports this one
            each.restart_times = workflow.execution_settings.retries
    if "gpu" not in limits and not IMPORTED:
        workflow.register_resource("gpu", 1)


# Snakemake 9 asks for `input.size_mb` where it cannot have it yet, and tries again later.
warnings.filterwarnings("ignore", "coroutine 'InputFiles", RuntimeWarning)
CUDA_CONTEXT = 2500  # MB of the host's memory that CUDA takes in each process


def memory(megabytes, per_input=0, gpu=0):
    """What a job may need, in MB: so much, and `per_input` times its inputs; more at each retry.

    From the peaks in docs/performance.md, with room for Snakemake's own processes on a node. `gpu`,
    a number or a function of wildcards, says whether the job computes on one.
    """

    def mem_mb(wildcards, input, attempt):
        set_limits_once()
        of_gpu = CUDA_CONTEXT if (gpu(wildcards) if callable(gpu) else gpu) else 0
        return round((megabytes + of_gpu + (per_input and per_input * input.size_mb)) * attempt)

    return mem_mb


def hours(count):
    """How long a job may take, in Snakemake's minutes."""
    return 60 * count


def most_cores():
    """The cores that a job's threads are chosen for: those of --max-threads, or of this machine."""
    set_limits_once()
    return workflow.resource_settings.max_threads or usable_cores()


def every_core(wildcards):
    return most_cores()


def computes_on_gpu(method):
    """Whether a kind of method computes with networks, where `device` says."""
    return bool(method.references("models")) and not method.on_cpu


def training_threads(wildcards):
    """The threads that a training's steps pay for, whatever --cores says."""
    model = make("models", config["models"][wildcards.model])
    return worthwhile_threads(model.work(config), most_cores())


def threads_of_methods(methods):
    """The same of completions by methods; 1 of those without networks."""
    work = [make("methods", config["methods"][method]).work(config) for method in methods]
    most = max(work, default=0)
    return worthwhile_threads(most, most_cores()) if most else 1


def completion_threads(wildcards):
    return threads_of_methods([wildcards.method])


def asked_threads(rule, threads, worthwhile):
    """How many threads a job computes with: those of --set-threads, or those worthwhile."""
    return threads if rule in workflow.resource_settings.overwrite_threads else worthwhile


# -- what refers to what -----------------------------------------------------------------------


def model_files(model, dataset):
    """The files of a model that others read."""
    folder = f"results/{dataset}/models/{model}"
    return [f"{folder}/weights.safetensors", f"{folder}/settings.json"]


def referenced_models(table, name, dataset):
    """The files of the models that an entry names, by the settings that name them."""
    entry = config[table][name]
    return {
        setting: model_files(entry[setting], dataset) if entry[setting] else []
        for setting in kind_of(table, entry).references("models")
    }


def training_inputs(wildcards):
    """The models that a training builds on, by its settings' names, and a bundle to start with."""
    files = referenced_models("models", wildcards.model, wildcards.dataset)
    if start := config["models"][wildcards.model].get("start"):
        top = f"results/{wildcards.dataset}"
        files["start"] = start
        # Photos of the test split must not have been in that bundle's training.
        files |= {"index": f"{top}/index.csv", "test_table": f"{top}/splits/test.csv"}
    return files


def completion_inputs(wildcards):
    """The models, other completions and training faces that a method needs, by name."""
    top, entry = f"results/{wildcards.dataset}", config["methods"][wildcards.method]
    files = referenced_models("methods", wildcards.method, wildcards.dataset)
    for setting in kind_of("methods", entry).references("methods"):
        target = f"{top}/completions/{wildcards.mask}/{entry[setting]}/faces"
        files[setting] = target if entry[setting] else []
    if kind_of("methods", entry).needs_train:
        files["train"] = [f"{top}/splits/train.npy", f"{top}/splits/train.csv"]
    return files


def makes_several(method):
    """Whether a method completes a face more than once."""
    return config["methods"][method].get("samples", 1) > 1


def calibrated(dataset, mask, method):
    """Whether validation faces say how wide a method's bands are.

    Not where there are none, or masks or targets come as a folder of pictures, which are those of
    test faces.
    """
    entries = [config["masks"][mask], *(config["methods"][name] for name in with_targets(method))]
    folders = [entry.get(key) or "" for entry in entries for key in ("path", "folder")]
    folders = any(map(os.path.isdir, folders))
    return makes_several(method) and not folders and not by_bundle(dataset)


def targets_of(method):
    """The methods whose completions a method needs, by the settings that name them."""
    entry = config["methods"][method]
    names = {name: entry[name] for name in kind_of("methods", entry).references("methods")}
    return {setting: target for setting, target in names.items() if target}


def with_targets(method):
    """A method and its targets."""
    return [method, *targets_of(method).values()]


def each_with_targets(methods):
    """Methods and their targets, each once."""
    return [*dict.fromkeys(each for method in methods for each in with_targets(method))]


def inputs_of_methods(methods, dataset):
    """The models behind methods, by `model_` and their names, and training faces where needed."""
    models = named_by("methods", methods, "models", config)
    files = {f"model_{model}": model_files(model, dataset) for model in models}
    if any(kind_of("methods", config["methods"][method]).needs_train for method in methods):
        top = f"results/{dataset}/splits"
        files["train"] = [f"{top}/train.npy", f"{top}/train.csv"]
    return files


def device_of_methods(methods):
    """Where methods compute."""
    of_methods = [kind_of("methods", config["methods"][method]) for method in methods]
    return config["device"] if any(map(computes_on_gpu, of_methods)) else "cpu"


def slots_of_methods(methods):
    """How much of the GPU a job has that completes by methods."""
    return GPU_SLOTS if device_of_methods(methods) != "cpu" else 0


def calibration_slots(wildcards):
    """How much of the GPU a method's calibration has."""
    return slots_of_methods(with_targets(wildcards.method))


def calibration_file(wildcards):
    """What says how wide a method's bands are, if anything does."""
    folder = f"results/{wildcards.dataset}/completions/{wildcards.mask}/{wildcards.method}"
    exists = calibrated(wildcards.dataset, wildcards.mask, wildcards.method)
    return f"{folder}/calibration.csv" if exists else []


def declares(method, file):
    """Whether a method leaves one of the files of EXTRA."""
    return file in kind_of("methods", config["methods"][method]).extra


def extra_output(name):
    """The path of a file of EXTRA, with its caption where Snakemake's report shows it."""
    if name == "progress":
        return completion_output(EXTRA[name], "progress", "search")
    return f"results/{{dataset}}/completions/{{mask}}/{{method}}/{EXTRA[name]}"


# -- what Snakemake's own report shows ---------------------------------------------------------


def completion_output(file, caption, what):
    """A file of a completion."""
    return report(
        f"results/{{dataset}}/completions/{{mask}}/{{method}}/{file}",
        caption=f"../report/{caption}.rst",
        category="Completions",
        subcategory="{mask}",
        labels={"mask": "{mask}", "method": "{method}", "what": what},
    )


def model_output(file, what):
    """A picture of a model; its caption is called after it."""
    return report(
        f"results/{{dataset}}/models/{{model}}/{file}",
        caption=f"../report/{what}.rst",
        category="Models",
        subcategory="{model}",
        labels={"model": "{model}", "what": what},
    )


def report_output(file, caption, category, what):
    """A file of the report."""
    return report(
        f"results/{{dataset}}/report/{file}",
        caption=f"../report/{caption}.rst",
        category=category,
        labels={"dataset": "{dataset}", "what": what},
    )


# -- masks -------------------------------------------------------------------------------------


@cache
def mask_content(mask):
    """What decides a mask."""
    settings = config["masks"][mask]
    try:
        content = make("masks", settings).content(CHECKSUMS.sha256)
        return {"kind": settings["kind"]} | content
    except OSError as error:
        sys.exit(
            f"facefill: config: masks.{mask}.path: {error.filename}: cannot be read "
            f"({error.strerror}); put a PNG there"
        )


# -- the report --------------------------------------------------------------------------------


def compared_pairs():
    """The (mask, method) pairs of the report, in its order."""
    return [
        (mask, method)
        for mask in config["compare"]["masks"]
        for method in config["compare"]["methods"]
        if mask in (config["methods"][method]["masks"] or config["compare"]["masks"])
    ]


def further_trainings():
    """Mask, method, number and the entry's name of every further training behind the report."""
    return [
        (mask, method, number, name)
        for mask, method in compared_pairs()
        for number, name in enumerate(trainings("methods", method, config)[1:], 2)
    ]


def pairs_to_measure():
    """The (mask, method) pairs that are measured: those compared, and their further trainings."""
    return [*compared_pairs(), *((mask, name) for mask, _, _, name in further_trainings())]


def pairs_to_complete():
    """The (mask, method) pairs that are completed: those measured, and their targets'."""
    targets = [
        (mask, target)
        for mask, method in pairs_to_measure()
        for target in named_by("methods", [method], "methods", config)
    ]
    return [*dict.fromkeys([*pairs_to_measure(), *targets])]


def pairs_declaring(file):
    """Those compared pairs whose method leaves one of the files of EXTRA, as lists."""
    return [list(pair) for pair in compared_pairs() if declares(pair[1], file)]


def faces_of(method):
    """How many test faces a method completes, at most."""
    return config["methods"][method]["faces"] or config["compare"]["faces"]


@cache
def method_content(method):
    """What decides a method's completions."""
    settings = config["methods"][method]
    try:
        content = make("methods", settings).content(CHECKSUMS.sha256)
        return {"kind": settings["kind"]} | content
    except OSError as error:
        sys.exit(
            f"facefill: config: methods.{method}: {error.filename}: cannot be read "
            f"({error.strerror}); give yourself the right to"
        )


def model_settings(model):
    """A model's settings; which trainings there are is not for the single one.

    Nor is where a bundle to start with lies: what is in it counts, as of every input.
    """
    elsewhere = ("seeds", "start")
    return {key: value for key, value in config["models"][model].items() if key not in elsewhere}


def seed_of(model):
    """The seed of a model's training."""
    return (config["models"][model]["seeds"] or [config["seed"]])[0]


def method_settings(method):
    """A method's settings; how many faces are asked for, and where, is for the report."""
    return {key: value for key, value in config["methods"][method].items() if key not in ASKED}


def methods_in_report():
    """The compared methods, their further trainings, and the targets of all, each once, by name."""
    names = [*config["compare"]["methods"], *(method for _, method in pairs_to_complete())]
    return {name: config["methods"][name] for name in names}


def models_in_report(dataset):
    """The models behind the compared methods, each once.

    A bundle has only those that methods use, not what these were trained from.
    """
    models = named_by("methods", methods_in_report(), "models", config)
    if by_bundle(dataset):
        return models
    return with_bases(models, config)


def measured_models(dataset):
    """The models behind the report whose samples are compared with validation faces."""
    generators = models_providing("generator")
    models = [] if by_bundle(dataset) else models_in_report(dataset)
    return [model for model in models if model in generators]


def described_splits(dataset):
    """The splits whose true faces are compared with something: completions, or samples."""
    return ["test", "val"] if measured_models(dataset) else ["test"]


def compared_files(file, declared=None):
    """`file` of every compared completion, or of those whose method declares a file of EXTRA."""
    return [
        f"results/{{dataset}}/completions/{mask}/{method}/{file}"
        for mask, method in compared_pairs()
        if declared is None or declares(method, declared)
    ]


def training_files(file):
    """`file` of every completion by a further training, in the order of `further_trainings`."""
    return [
        f"results/{{dataset}}/completions/{mask}/{name}/{file}"
        for mask, _, _, name in further_trainings()
    ]


def reported_models(file):
    """`file` of every model behind the report, as a function of wildcards."""
    return lambda wildcards: [
        f"results/{wildcards.dataset}/models/{model}/{file}"
        for model in models_in_report(wildcards.dataset)
    ]


def whole_build(dataset):
    """What belongs to a finished build: each stage's results, but for the raw photos."""
    top, shards = f"results/{dataset}", config["align"]["shards"]
    files = [f"{top}/report/index.html", f"{top}/manifest.csv", f"{top}/faces"]
    if dataset in TRANSFERS:
        files.append(f"{top}/splits/set_aside.csv")
    else:
        files += [
            f"{top}/aligned/shard-{shard}-of-{shards}.{suffix}"
            for shard in range(shards)
            for suffix in ("zip", "csv")
        ]
    files += [
        f"{top}/splits/{split}.{suffix}"
        for split in ("train", "val", "test")
        for suffix in ("npy", "csv")
    ]
    files += [
        f"{top}/splits/{split}_{what}.npy"
        for split in described_splits(dataset)
        for what in ("descriptors", "landmarks")
    ]
    files += [file for model in models_in_report(dataset) for file in model_files(model, dataset)]
    files += [f"{top}/models/{model}/set_metrics.csv" for model in measured_models(dataset)]
    files += [f"{top}/completions/{mask}/{method}/faces" for mask, method in pairs_to_complete()]
    files += [f"{top}/completions/{mask}/{name}/metrics.csv" for mask, name in pairs_to_measure()]
    files += [
        f"{top}/completions/{mask}/{method}/calibration.csv"
        for mask, method in pairs_to_measure()
        if calibrated(dataset, mask, method)
    ]
    return files


def reported_config(wildcards):
    """The part of the configuration that made this report, for its provenance."""
    part = {key: config[key] for key in ("align", "split", "compare", "device", "seed")}
    part["dataset"] = wildcards.dataset
    entry = config["datasets"][wildcards.dataset]
    behind = [entry.get("models_of"), entry.get("faces_of")]
    names = [wildcards.dataset, *(name for name in behind if name in config["datasets"])]
    part["datasets"] = {name: config["datasets"][name] for name in names}
    part["masks"] = {mask: config["masks"][mask] for mask in config["compare"]["masks"]}
    part["methods"] = methods_in_report()
    models = models_in_report(wildcards.dataset)
    part["models"] = {model: config["models"][model] for model in models}
    return part


def timing_logs(wildcards):
    """Where the jobs behind the report noted how long they took."""
    dataset, shards = wildcards.dataset, config["align"]["shards"]
    models = models_in_report(dataset)
    if dataset in TRANSFERS:
        jobs = [f"transfer_{what}" for what in ("bundle", "faces", "training", "split")]
        jobs += [f"transfer_models/{model}" for model in models]
    else:
        jobs = [*filter(None, [dataset_of(wildcards).rule]), "index"]
        jobs += [f"align/shard-{shard}-of-{shards}" for shard in range(shards)]
        jobs += ["flatten", "split"]
        jobs += [f"train_{config['models'][model]['kind']}/{model}" for model in models]
    jobs += [f"describe/{split}" for split in described_splits(dataset)]
    jobs += [f"measure_model/{model}" for model in measured_models(dataset)]
    jobs += [
        f"complete_{config['methods'][method]['kind']}/{mask}/{method}"
        for mask, method in pairs_to_complete()
    ]
    jobs += [
        f"calibrate/{mask}/{method}"
        for mask, method in pairs_to_measure()
        if calibrated(dataset, mask, method)
    ]
    jobs += [f"measure/{mask}/{method}" for mask, method in pairs_to_measure()]
    return [f"results/logs/{dataset}/{job}.json" for job in jobs]


def stored_timings(wildcards):
    """The same as inputs, where jobs share no file system; elsewhere what is missing is left out."""
    return timing_logs(wildcards) if workflow.storage_settings.default_storage_provider else []


def checkpoint_folder(wildcards, input):
    """Where a training leaves checkpoints: no output, so that a killed one finds them again."""
    top = config["checkpoints"] or f"results/{wildcards.dataset}/checkpoints"
    within = f"{wildcards.dataset}/{wildcards.model}" if config["checkpoints"] else wildcards.model
    return f"{top}/{within}"


def publish_command(wildcards):
    """What to type to get this page again."""
    files = [os.path.relpath(file) for file in workflow.overwrite_configfiles]
    given = workflow.config_settings.config_args or []
    options = f" --configfile {' '.join(map(shlex.quote, files))}" if files else ""
    options += f" --config {' '.join(map(shlex.quote, given))}" if given else ""
    return f"snakemake results/{wildcards.dataset}/results.md{options}"
