"""What reruns after which change: one test per row of the table in the README."""

import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from facefill.photos import shard_of
from project import Project

METHODS = {"complete_latent": 1, "complete_classical": 2}
FROM_COMPLETION = {**METHODS, "measure": 3, "report": 1}
OURS = {"complete_latent": 1, "measure": 1, "report": 1}
TELEA = {"complete_classical": 1, "measure": 1, "report": 1}
FROM_ENCODER = {"train_encoder": 1, **OURS}
FROM_DCGAN = {"train_dcgan": 1, "measure_model": 1, **FROM_ENCODER}
FROM_DESCRIBE = {"describe": 2, "measure_model": 1, "measure": 3, "report": 1}
FROM_SPLIT = {"split": 1, "describe": 2, **FROM_DCGAN, **FROM_COMPLETION}
FROM_FLATTEN = {"flatten": 1, **FROM_SPLIT}


def test_nothing_changed(folder_project):
    assert folder_project.planned() == {}


def test_a_touch_of_every_source_and_input(built):
    later = time.time() + 10
    for part in ("Snakefile", "config.yaml", "workflow", "profiles", "envs", "photos"):
        top = built.folder / part
        for path in [top, *top.rglob("*")]:
            os.utime(path, (later, later))
    assert built.planned() == {}


def test_the_photo_cache_lost(built):
    (built.folder / ".snakemake" / "facefill-photos.json").unlink()
    assert built.planned() == {}


def test_results_moved_to_a_fresh_clone(built, tmp_path):
    clone = Project.new(tmp_path / "clone")
    for part in ("results", ".snakemake", "photos", "config.yaml"):
        shutil.move(built.folder / part, clone.folder / part)
    assert clone.planned() == {}


def wildcards(project: Project, rule: str) -> set[str]:
    """The wildcards of the jobs of `rule` that a dry run would start."""
    output = project.build("--dry-run")
    blocks = output.split("rule ")
    return {
        line.strip().removeprefix("wildcards: ")
        for block in blocks
        if block.startswith(f"{rule}:")
        for line in block.splitlines()
        if "wildcards: " in line
    }


def test_a_value_under_one_method(built):
    """The steps of one search: that one is made again under every mask, the other one not."""
    built.configure(masks={"small": {"kind": "center", "scale": 0.4}})
    other = {"kind": "latent", "model": "dcgan", "steps": 3}
    built.configure(methods={"other": other})
    methods = ["ours", "other", "telea", "mean"]
    built.configure(compare={"masks": ["center", "small"], "methods": methods})
    built.build()
    built.configure(methods={"ours": {"steps": 5}})
    assert built.planned() == {"complete_latent": 2, "measure": 2, "report": 1}
    assert wildcards(built, "complete_latent") == {
        f"dataset=mine, mask={mask}, method=ours" for mask in ("center", "small")
    }


def test_a_new_mask(built):
    built.configure(compare={"masks": ["center", "random80"]})
    assert built.planned() == FROM_COMPLETION
    methods = {"complete_latent": ["ours"], "complete_classical": ["telea", "mean"]}
    for rule, made in methods.items():
        expected = {f"dataset=mine, mask=random80, method={method}" for method in made}
        assert wildcards(built, rule) == expected


def test_another_form_of_a_mask(built):
    """An encoder learns from masks of its own, whatever those of the report are called."""
    built.configure(masks={"center": {"scale": 0.3}})
    assert built.planned() == FROM_COMPLETION


def test_another_content_of_a_drawn_mask(built):
    drawn = built.folder / "drawn.png"
    pixels = np.full((64, 64), 255, np.uint8)
    pixels[20:30, 20:30] = 0
    Image.fromarray(pixels).save(drawn)
    built.configure(masks={"drawn": {"kind": "file", "path": "drawn.png"}})
    built.configure(compare={"masks": ["center", "drawn"], "methods": ["telea", "mean"]})
    built.build()
    os.utime(drawn, (1, 1))
    assert built.planned() == {}
    pixels[40:50, 40:50] = 0
    Image.fromarray(pixels).save(drawn)
    assert built.planned() == {"complete_classical": 2, "measure": 2, "report": 1}
    expected = {f"dataset=mine, mask=drawn, method={method}" for method in ("telea", "mean")}
    assert wildcards(built, "complete_classical") == expected


def test_a_method_removed_from_the_comparison(built):
    built.configure(compare={"methods": ["ours", "telea"]})
    assert built.planned() == {"report": 1}


def test_a_mask_removed_from_the_comparison(built):
    built.configure(masks={"small": {"kind": "center", "scale": 0.4}})
    built.configure(compare={"masks": ["center", "small"]})
    built.build()
    built.configure(compare={"masks": ["center"]})
    assert built.planned() == {"report": 1}


@pytest.mark.parametrize("change", [{"beta1": 0.6}, {"augment": ["color"]}, {"r1": 1}])
def test_a_value_under_one_model(built, change):
    """An encoder's generator: what the encoder says is true of that one alone."""
    built.configure(models={"dcgan": change})
    assert built.planned() == FROM_DCGAN


MORE_MASKS = [{"kind": "center"}, {"kind": "grid", "step": 2}, {"kind": "lowres", "factor": 4}]


@pytest.mark.parametrize("change", [{"lr": 0.002}, {"epochs": 3}, {"masks": MORE_MASKS}])
def test_a_value_under_one_encoder(built, change):
    built.configure(models={"encoder": change})
    assert built.planned() == FROM_ENCODER
    assert wildcards(built, "train_encoder") == {"dataset=mine, model=encoder"}


def test_an_encoder_is_the_matter_of_the_methods_that_use_it(built):
    other = {"kind": "latent", "model": "dcgan", "steps": 3}
    built.configure(methods={"other": other}, compare={"methods": ["ours", "other"]})
    built.build()
    code, weight = "workflow/facefill/train/encoder.py", "HOLE_WEIGHT = 2.0"
    built.edit(code, weight, "HOLE_WEIGHT = 3.0")
    assert built.planned() == FROM_ENCODER
    assert wildcards(built, "complete_latent") == {"dataset=mine, mask=center, method=ours"}
    built.edit(code, "HOLE_WEIGHT = 3.0", weight)
    assert built.planned() == {}
    built.configure(models={"encoder": {"lr": 0.002}})
    assert built.planned() == FROM_ENCODER
    assert wildcards(built, "complete_latent") == {"dataset=mine, mask=center, method=ours"}


def test_a_search_without_its_encoder(built):
    change = {"encoder": None, "start": "random", "anchor": 0}
    built.configure(methods={"ours": change})
    assert built.planned() == OURS


def test_a_model_that_nobody_uses(built):
    built.configure(models={"kumar2018": {"beta1": 0.6}})
    assert built.planned() == {}


def test_the_number_of_one_methods_faces(built):
    built.configure(methods={"telea": {"faces": 2}})
    assert built.planned() == TELEA
    assert wildcards(built, "complete_classical") == {"dataset=mine, mask=center, method=telea"}
    assert wildcards(built, "measure") == {"dataset=mine, mask=center, method=telea"}


def test_a_method_with_faces_of_its_own_asks_for_no_others(built):
    built.configure(methods={"ours": {"faces": 2}})
    assert built.planned() == OURS
    built.build()
    built.configure(compare={"faces": 3})
    assert built.planned() == {"complete_classical": 2, "measure": 2, "report": 1}


def test_the_masks_of_one_method(built):
    """What is taken out of the report's pairs stays as it is, and is not made again later."""
    built.configure(masks={"small": {"kind": "center", "scale": 0.4}})
    built.configure(compare={"masks": ["center", "small"]}, methods={"ours": {"masks": ["center"]}})
    assert built.planned() == {"complete_classical": 2, "measure": 2, "report": 1}
    built.build()
    built.configure(methods={"telea": {"masks": ["center", "random80"]}})  # the latter: no matter
    assert built.planned() == {"report": 1}
    built.configure(methods={"telea": {"masks": None}})
    assert built.planned() == {}


def test_the_number_of_compared_faces(built):
    built.configure(compare={"faces": 3})
    assert built.planned() == FROM_COMPLETION


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


def aligned_shards(project: Project) -> set[int]:
    """The shards that a dry run would align."""
    lines = project.build("--dry-run").splitlines()
    return {
        int(line.split("shard=")[1].split(",")[0])
        for line in lines
        if "wildcards:" in line and "shard=" in line
    }


def test_a_photo_added(built):
    source = sorted((built.folder / "photos").rglob("*.jpg"))[3]
    added = built.folder / "photos" / "somebody-new" / "one more {photo}.jpg"
    added.parent.mkdir()
    pixels = np.asarray(Image.open(source))[:, ::-1]
    Image.fromarray(pixels).save(added, quality=90)
    split_before = {name: _identities(built, name) for name in ("train", "val", "test")}

    assert built.planned() == ONE_SHARD
    assert aligned_shards(built) == {shard_of("somebody-new/one more {photo}.jpg", 3)}

    output = built.build()
    assert output.count("rule align:") == 1
    for name, before in split_before.items():
        assert before - _identities(built, name) == set(), f"somebody left {name}"
    assert built.planned() == {}


def _identities(project: Project, name: str) -> set[str]:
    lines = (project.folder / f"results/mine/splits/{name}.csv").read_text().splitlines()
    return set(lines[1:])


def test_a_photo_changed_with_an_older_date(built):
    photo = sorted((built.folder / "photos").rglob("*.jpg"))[5]
    before = photo.stat()
    pixels = np.asarray(Image.open(photo))[:, ::-1]
    Image.fromarray(pixels).save(photo, quality=90)
    os.utime(photo, (before.st_atime - 1e6, before.st_mtime - 1e6))
    assert built.planned() == ONE_SHARD
    assert aligned_shards(built) == {shard_of(f"{photo.parent.name}/{photo.name}", 3)}


def test_a_photo_removed(built):
    photo = sorted((built.folder / "photos").rglob("*.jpg"))[7]
    photo.unlink()
    assert built.planned() == ONE_SHARD
    assert aligned_shards(built) == {shard_of(f"{photo.parent.name}/{photo.name}", 3)}


# The code of a stage or kind: a comment is content, too. Modules that a script imports count.
CODE = {
    "workflow/scripts/index.py": {"index": 1, **FROM_FLATTEN},
    "workflow/facefill/align.py": {"align": 3, **FROM_FLATTEN},
    "workflow/rules/align.smk": {"align": 3, **FROM_FLATTEN},
    "workflow/facefill/flatten.py": FROM_FLATTEN,
    "workflow/facefill/split.py": FROM_SPLIT,
    "workflow/facefill/train/dcgan.py": FROM_DCGAN,
    "workflow/rules/train_dcgan.smk": FROM_DCGAN,
    "workflow/facefill/train/encoder.py": FROM_ENCODER,
    "workflow/facefill/train/encoder_network.py": FROM_ENCODER,
    "workflow/scripts/train_encoder.py": FROM_ENCODER,
    "workflow/rules/train_encoder.smk": FROM_ENCODER,
    "workflow/facefill/describe.py": FROM_DESCRIBE,
    "workflow/rules/describe.smk": FROM_DESCRIBE,
    "workflow/facefill/measure_model.py": {"measure_model": 1, "report": 1},
    "workflow/rules/measure_model.smk": {"measure_model": 1, "report": 1},
    "workflow/facefill/complete/latent.py": OURS,
    "workflow/facefill/complete/space.py": OURS,
    "workflow/scripts/complete_latent.py": OURS,
    "workflow/facefill/complete/classical/tv.py": {
        "complete_classical": 2,
        "measure": 2,
        "report": 1,
    },
    "workflow/rules/complete_classical.smk": {
        "complete_classical": 2,
        "measure": 2,
        "report": 1,
    },
    "workflow/facefill/measure.py": {"measure": 3, "report": 1},
    "workflow/scripts/report.py": {"report": 1},
}


@pytest.mark.parametrize("path", CODE)
def test_the_code_of_one_stage(built, path):
    with (built.folder / path).open("a") as file:
        file.write("\n# a remark\n")
    assert built.planned() == CODE[path]


TEXTS = ("page.html.j2", "grid.rst", "losses.rst", "encoder_losses.rst", "model_metrics.rst")


@pytest.mark.parametrize("text", TEXTS)
def test_a_caption_or_the_template(built, text):
    with (built.folder / "workflow/report" / text).open("a") as file:
        file.write("\n")
    assert built.planned() == {"report": 1}


def test_common_rules_are_nobodys_code(built):
    with (built.folder / "workflow/rules/common.smk").open("a") as file:
        file.write("\n# a remark\n")
    assert built.planned() == {}
