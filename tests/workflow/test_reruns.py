"""What reruns after which change: one test per row of the table in the README."""

import json
import os
import re
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facefill.core.photos import shard_of
from project import Project

pytestmark = pytest.mark.slow

# Of folder_project: what completes, and who measures it.
OURS = {"complete_latent": 2, "measure": 2, "report": 1}
GLCIC = {"complete_feedforward": 1, "measure": 1, "report": 1}
TELEA = {"complete_telea": 2, "measure": 2, "report": 1}
CLASSICAL = {**TELEA, "complete_mean": 1, "measure": 3}
LATENT = {"complete_latent": 3, "measure": 3, "report": 1}
FROM_COMPLETION = {**LATENT, **GLCIC, **CLASSICAL, "measure": 7}
FROM_ENCODER = {"train_encoder": 1, **OURS}
FROM_DCGAN = {"train_dcgan": 1, "measure_model": 1, "train_encoder": 1, **LATENT}
FROM_GLCIC = {"train_glcic": 1, **GLCIC}
FROM_MODELS = {**FROM_DCGAN, **FROM_GLCIC, **FROM_COMPLETION}
FROM_DESCRIBE = {"describe": 2, "measure_model": 1, "measure": 7, "report": 1}
FROM_SPLIT = {"split": 1, **FROM_MODELS, **FROM_DESCRIBE}
FROM_FLATTEN = {"flatten": 1, **FROM_SPLIT}


def of(mask: str, *methods: str) -> set[str]:
    """The wildcards of jobs that complete or measure `mask`."""
    return {f"dataset=mine, mask={mask}, method={method}" for method in methods}


def test_nothing_changed(folder_project):
    assert folder_project.planned() == {}


def test_a_touch_of_every_source_and_input(built):
    later = time.time() + 10
    for part in ("Snakefile", "config.yaml", "workflow", "profiles", "envs", "photos"):
        top = built.folder / part
        for path in [top, *top.rglob("*")]:
            os.utime(path, (later, later))
    assert built.planned() == {}


@pytest.mark.parametrize("threads", [["--cores", "1"], ["--set-threads", "train_dcgan=2"]])
def test_another_number_of_threads(folder_project, threads):
    """Nor does a machine with other cores train anew what is trained."""
    assert folder_project.planned(*threads) == {}


def test_the_photo_cache_lost(built):
    (built.folder / ".snakemake" / "facefill-photos.json").unlink()
    assert built.planned() == {}


def test_results_moved_to_a_fresh_clone(built, tmp_path):
    clone = Project.new(tmp_path / "clone")
    for part in ("results", ".snakemake", "photos", "config.yaml"):
        shutil.move(built.folder / part, clone.folder / part)
    assert clone.planned() == {}


def test_a_value_under_one_method(built):
    """The steps of one search: that one is made again under every mask, the other one not."""
    built.configure(methods={"ours": {"steps": 5}})
    plan = built.plan()
    assert plan.jobs == OURS
    assert plan.wildcards["complete_latent"] == of("center", "ours") | of("small", "ours")


def test_a_value_under_a_method_of_one_pass(built):
    built.configure(methods={"glcic": {"blend": "none"}})
    plan = built.plan()
    assert plan.jobs == GLCIC
    assert plan.wildcards["complete_feedforward"] == of("center", "glcic")


def test_a_new_mask(built):
    built.configure(compare={"masks": ["center", "small", "random80"]})
    plan = built.plan()
    new = {"complete_latent": ["ours"], "complete_telea": ["telea"]}
    assert plan.jobs == dict.fromkeys(new, 1) | {"measure": 2, "report": 1}
    for rule, made in new.items():
        assert plan.wildcards[rule] == of("random80", *made)


def test_another_form_of_a_mask(built):
    """Networks learn from masks of their own, whatever those of the report are called."""
    built.configure(masks={"center": {"scale": 0.3}})
    plan = built.plan()
    assert plan.jobs == {
        "complete_latent": 2, "complete_feedforward": 1, "complete_telea": 1, "complete_mean": 1,
        "measure": 5, "report": 1,
    }  # fmt: skip
    assert plan.wildcards["measure"] == of("center", "ours", "other", "glcic", "telea", "mean")


def test_another_content_of_a_drawn_mask(built):
    drawn = built.folder / "drawn.png"
    pixels = np.full((64, 64), 255, np.uint8)
    pixels[20:30, 20:30] = 0
    Image.fromarray(pixels).save(drawn)
    built.configure(masks={"drawn": {"kind": "file", "path": "drawn.png"}})
    built.configure(compare={"masks": ["center", "drawn"]}, methods={"telea": {"masks": None}})
    measured = "results/mine/completions/drawn/telea/metrics.csv"
    built.build(measured)
    os.utime(drawn, (1, 1))
    assert built.planned(measured) == {}
    pixels[40:50, 40:50] = 0
    Image.fromarray(pixels).save(drawn)
    assert built.planned(measured) == {"complete_telea": 1, "measure": 1}


def test_a_method_removed_from_the_comparison(built):
    built.configure(compare={"methods": ["ours", "glcic", "telea"]})
    assert built.planned() == {"report": 1}


def test_a_mask_removed_from_the_comparison(built):
    built.configure(compare={"masks": ["center"]})
    assert built.planned() == {"report": 1}


MORE_MASKS = [{"kind": "center"}, {"kind": "grid", "step": 2}, {"kind": "lowres", "factor": 4}]
MODELS = {  # of an encoder's generator: what the encoder says is true of that one alone
    "dcgan": ([{"beta1": 0.6}, {"augment": ["color"]}, {"r1": 1}], FROM_DCGAN),
    "encoder": ([{"lr": 0.002}, {"epochs": 3}, {"masks": MORE_MASKS}], FROM_ENCODER),
    "glcic": ([{"alpha": 0.1}, {"joint_epochs": 2}, {"masks": MORE_MASKS}], FROM_GLCIC),
}


@pytest.mark.parametrize(
    ("model", "change"), [(model, change) for model in MODELS for change in MODELS[model][0]]
)
def test_a_value_under_one_model(built, model, change):
    built.configure(models={model: change})
    plan = built.plan()
    assert plan.jobs == MODELS[model][1]
    assert plan.wildcards[f"train_{model}"] == {f"dataset=mine, model={model}"}
    if model == "encoder":  # it is the matter of the methods that use it
        assert plan.wildcards["complete_latent"] == of("center", "ours") | of("small", "ours")


def test_another_seed_of_one_model(built):
    """A further training, its completions and their measures are all that is made."""
    built.configure(models={"glcic": {"seeds": [0, 1]}})
    plan = built.plan()
    assert plan.jobs == FROM_GLCIC
    assert plan.wildcards["train_glcic"] == {"dataset=mine, model=glcic-training2"}
    assert plan.wildcards["measure"] == of("center", "glcic-training2")
    built.build()
    results = built.folder / "results/mine"
    settings = [
        json.loads((results / "models" / name / "settings.json").read_text())
        for name in ("glcic", "glcic-training2")
    ]
    assert [of_one["seed"] for of_one in settings] == [0, 1]
    every = pd.read_csv(results / "report/trainings.csv")
    values = every[every["metric"] == "hole_psnr"]["value"]
    assert set(every["method"]) == {"glcic"} and len(set(values)) == 2
    assert "trained 2 times" in (results / "report/index.html").read_text(encoding="utf-8")
    assert built.planned() == {}
    built.configure(models={"glcic": {"seeds": [1, 0]}})
    plan = built.plan()  # which of them is shown
    assert plan.jobs == {**FROM_GLCIC, "train_glcic": 2, "complete_feedforward": 2, "measure": 2}
    built.configure(models={"glcic": {"seeds": None}})
    assert built.planned() == {"report": 1}


def test_a_search_without_its_encoder(built):
    change = {"encoder": None, "start": "random", "anchor": 0}
    built.configure(methods={"ours": change})
    assert built.planned() == OURS


def test_a_new_method_trains_its_model_and_nothing_else(built):
    small = built.config()["models"]["glcic"]
    built.configure(models={"context_encoder": small | {"masks": [{"kind": "center"}]}})
    built.configure(compare={"methods": [*built.config()["compare"]["methods"], "context_encoder"]})
    built.configure(methods={"context_encoder": {"masks": ["center"]}})
    plan = built.plan()
    assert plan.jobs == FROM_GLCIC
    assert plan.wildcards["train_glcic"] == {"dataset=mine, model=context_encoder"}


def test_models_that_nobody_uses(built):
    changes = {"kumar2018": {"beta1": 0.6}, "ashwin2018": {"alpha": 0.1}}
    built.configure(models=changes)
    assert built.planned() == {}


def test_a_target_is_an_input(built):
    """A search that takes glcic's completions as a target reruns with these, and trains nothing."""
    built.configure(compare={"masks": ["center"], "methods": ["ours", "hybrid", "telea", "mean"]})
    hybrid = {"complete_latent": 1, "measure": 1, "report": 1}
    assert built.planned() == hybrid
    completions = "results/mine/completions/center"
    built.build(f"{completions}/hybrid/samples.npy")
    drawn, free = (
        np.load(built.folder / completions / name / "samples.npy") for name in ("hybrid", "ours")
    )
    assert (drawn != free).any()
    built.configure(methods={"glcic": {"blend": "none"}})
    plan = built.plan()
    assert plan.jobs == {"complete_feedforward": 1, **hybrid}
    assert plan.wildcards["complete_latent"] == of("center", "hybrid")


def test_several_samples_are_calibrated(built):
    """Validation faces are completed only where a method makes several completions of a face."""
    built.configure(methods={"other": {"samples": 3}, "ours": {"restarts": 2}})
    plan = built.plan()
    assert plan.jobs == {**LATENT, "calibrate": 1}
    assert plan.wildcards["calibrate"] == of("center", "other")
    built.build()
    assert built.planned() == {}
    folder = built.folder / "results" / "mine" / "completions" / "center" / "other"
    # Two people are too few for a factor of 90 % bands, which is no error.
    (line,) = pd.read_csv(folder / "calibration.csv").to_dict("records")
    assert line["people"] == 2 and np.isnan(line["factor"]) and 0 <= line["covered"] <= 1
    sets = pd.read_csv(folder / "set_metrics.csv", index_col="metric")
    assert sets.loc["coverage_90", "faces"] == 3 and sets.loc["coverage_90_scaled", "faces"] == 0
    built.configure(methods={"other": {"samples": 4}})
    assert built.planned() == {"complete_latent": 1, "calibrate": 1, "measure": 1, "report": 1}
    built.configure(methods={"other": {"samples": 1}})
    assert "calibrate" not in built.planned()


def test_the_number_of_one_methods_faces(built):
    built.configure(methods={"mean": {"faces": 2}})
    plan = built.plan()
    assert plan.jobs == {"complete_mean": 1, "measure": 1, "report": 1}
    assert plan.wildcards["complete_mean"] == of("center", "mean")
    assert plan.wildcards["measure"] == of("center", "mean")


def test_the_number_of_compared_faces(built):
    """A method with faces of its own asks for no others."""
    built.configure(compare={"faces": 2})
    plan = built.plan()
    assert plan.jobs == {**FROM_COMPLETION, "complete_latent": 2, "measure": 6}
    assert plan.wildcards["complete_latent"] == of("center", "ours") | of("small", "ours")


def test_the_masks_of_one_method(built):
    """What is taken out of the report's pairs stays as it is, and is not made again later."""
    built.configure(methods={"telea": {"masks": ["center", "random80"]}})  # the latter: no matter
    assert built.planned() == {"report": 1}
    built.build()
    built.configure(methods={"telea": {"masks": None}})
    assert built.planned() == {"report": 1}


@pytest.mark.parametrize("change", [{"seed": 1}, {"test": 0.25}, {"train": 10}])
def test_the_split(built, change):
    built.configure(split=change)
    assert built.planned() == FROM_SPLIT


def test_val_and_test_exchanged(built):
    built.configure(split={"val": 0.2, "test": 0.25})
    built.build("--until", "split")
    built.configure(split={"val": 0.25, "test": 0.2})
    assert built.planned()["split"] == 1


@pytest.mark.parametrize("change", [{"zoom": 0.9}, {"landmarks": "outerEyesAndNose"}])
def test_the_alignment(built, change):
    built.configure(align=change)
    # The measures need the zoom, too; they rerun anyway.
    assert built.planned() == {"align": 3, **FROM_FLATTEN}


def test_the_number_of_shards(built):
    built.configure(align={"shards": 2})
    assert built.planned() == {"align": 2, **FROM_FLATTEN}


ONE_SHARD = {"index": 1, "align": 1, **FROM_FLATTEN}


def one_shard(project: Project, source: str) -> None:
    """A run would align the shard of `source` and no other."""
    plan = project.plan()
    assert plan.jobs == ONE_SHARD
    assert plan.wildcards["align"] == {f"dataset=mine, shard={shard_of(source, 3)}, shards=3"}


def test_a_photo_added(built):
    source = sorted((built.folder / "photos").rglob("*.jpg"))[3]
    added = built.folder / "photos" / "somebody-new" / "one more {photo}.jpg"
    added.parent.mkdir()
    pixels = np.asarray(Image.open(source))[:, ::-1]
    Image.fromarray(pixels).save(added, quality=90)
    split_before = {name: _identities(built, name) for name in ("train", "val", "test")}

    one_shard(built, "somebody-new/one more {photo}.jpg")

    output = built.build("--until", "split")
    assert output.count("rule align:") == 1
    for name, before in split_before.items():
        assert before - _identities(built, name) == set(), f"somebody left {name}"
    assert built.planned().keys().isdisjoint({"index", "align", "flatten", "split"})


def _identities(project: Project, name: str) -> set[str]:
    lines = (project.folder / f"results/mine/splits/{name}.csv").read_text().splitlines()
    return set(lines[1:])


def test_a_photo_changed_with_an_older_date(built):
    photo = sorted((built.folder / "photos").rglob("*.jpg"))[5]
    before = photo.stat()
    pixels = np.asarray(Image.open(photo))[:, ::-1]
    Image.fromarray(pixels).save(photo, quality=90)
    os.utime(photo, (before.st_atime - 1e6, before.st_mtime - 1e6))
    one_shard(built, f"{photo.parent.name}/{photo.name}")


def test_a_photo_removed(built):
    photo = sorted((built.folder / "photos").rglob("*.jpg"))[7]
    photo.unlink()
    one_shard(built, f"{photo.parent.name}/{photo.name}")


# A statement more in a module: what reruns is what uses anything of it.
CODE = {
    "workflow/scripts/index.py": {"index": 1, **FROM_FLATTEN},
    "workflow/facefill/align.py": {"align": 3, **FROM_FLATTEN},
    "workflow/facefill/flatten.py": FROM_FLATTEN,
    "workflow/facefill/models/dcgan/training.py": FROM_DCGAN,
    "workflow/facefill/models/encoder/training.py": FROM_ENCODER,
    "workflow/facefill/models/encoder/network.py": {**FROM_ENCODER, **LATENT},
    "workflow/facefill/models/glcic/training.py": FROM_GLCIC,
    "workflow/facefill/models/glcic/networks.py": FROM_GLCIC,
    "workflow/facefill/train/holes.py": {**FROM_GLCIC, **FROM_ENCODER, "measure": 3},
    "workflow/facefill/describe.py": {**FROM_DESCRIBE, "measure": 7},
    "workflow/facefill/measure_model.py": {"measure_model": 1, "report": 1},
    "workflow/facefill/methods/latent/search.py": LATENT,
    "workflow/facefill/methods/latent/space.py": LATENT,
    "workflow/facefill/methods/mean.py": {"complete_mean": 1, "measure": 1, "report": 1},
    "workflow/facefill/methods/tv/fill.py": {},  # is not compared
    "workflow/facefill/masks/file/__init__.py": {},
    "workflow/facefill/metrics/l1.py": {"measure": 7, "report": 1},
    "workflow/facefill/measure.py": {"measure": 7, "measure_model": 1, "report": 1},
    "workflow/scripts/report.py": {"report": 1},
    "workflow/facefill/core/progress.py": {},
    "workflow/scripts/facefill_stage.py": {},
    "workflow/rules/align.smk": {},
    "workflow/rules/common.smk": {},
}


@pytest.mark.parametrize("path", CODE)
def test_the_code_of_one_stage_or_kind(built, path):
    with (built.folder / path).open("a") as file:
        file.write("\nassert True\n")
    assert built.planned() == CODE[path]


def test_other_words_in_every_module_and_dates_to_come(built):
    """Docstrings, comments and log texts are reworded everywhere at once."""
    modules = sorted((built.folder / "workflow").rglob("*.py"))
    assert len(modules) > 100
    later = time.time() + 3 * 3600
    for module in modules:
        text = module.read_text()
        text = re.sub(r'^"""', '"""In other words: ', text, count=1)
        text = re.sub(r'(\blog\.\w+\()"', r'\1"In other words: ', text)
        module.write_text(f"{text}\n# A remark at the end.\n")
        os.utime(module, (later, later))
    assert built.planned() == {}


def test_code_as_it_was_before(built):
    """Its date is no matter."""
    code, weight = "workflow/facefill/models/encoder/training.py", "HOLE_WEIGHT = 2.0"
    built.edit(code, weight, "HOLE_WEIGHT = 3.0")
    assert built.planned() == FROM_ENCODER
    built.edit(code, "HOLE_WEIGHT = 3.0", weight)
    assert built.planned() == {}


TEXTS = ("page.html.j2", "grid.rst", "losses.rst", "model_metrics.rst", "samples.rst")


def test_captions_and_the_template(built):
    for text in TEXTS:
        file = built.folder / "workflow/report" / text
        before = file.read_text()
        file.write_text(before + "\n")
        assert built.planned() == {"report": 1}
        file.write_text(before)
        assert built.planned() == {}
