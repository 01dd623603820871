"""What the rules tell Snakemake that their jobs depend on: inputs and params, without a build.

test_reruns.py shows what a built project makes again.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from facefill.kinds import kinds
from project import Project

pytestmark = pytest.mark.slow

# Prints what Snakemake compares with the last run: by rule the inputs of one job, and those of its
# params that do not follow from them.
ASK = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, ResourceSettings

some, by_rule, told = *json.loads(sys.argv[1]), {}
job = SimpleNamespace(resources=SimpleNamespace(_cores=1))  # for params that take `threads`
with SnakemakeApi(OutputSettings()) as api:
    project = api.workflow(ResourceSettings(cores=1), snakefile=Path("Snakefile"))
    for rule in project._workflow.rules:
        if rule.script:
            own = some | by_rule.get(rule.name, {})
            own = {name: own[name] for name in rule.wildcard_names}
            inputs, outputs = rule.expand_input(own)[0], rule.expand_output(own)[0]
            params = rule.expand_params(own, inputs, outputs, job)[1]
            told[rule.name] = [[str(file) for file in inputs], [str(param) for param in params]]
print(json.dumps(told))
"""
JOB = {"dataset": "mine", "shard": "0", "shards": "1", "split": "test", "mask": "drawn"}
JOB |= {"model": "dcgan", "method": "ours", "set": "family"}
JOBS = {
    "download": {"dataset": "some"},
    "train_encoder": {"model": "encoder"},
    "train_glcic": {"model": "glcic"},
    **{f"complete_{kind}": {"method": kind} for kind in kinds("methods")},
    "complete_latent": {"method": "ours"},
    "complete_feedforward": {"method": "glcic"},
    "transfer_bundle": {"dataset": "by_bundle"},
    **{
        f"transfer_{what}": {"dataset": "lent"} for what in ("faces", "models", "training", "split")
    },
}
COMPLETE = {f"complete_{kind}" for kind in kinds("methods")}
MEASURED = {"bundle", "calibrate", "measure", "report", "restore_set"}
ARCHIVE = {"kind": "archive", "urls": ["https://example.org/a.tgz"], "sha256": 64 * "a"}
LENT = {"kind": "transfer", "models_of": "some", "faces_of": "mine"}
BY_BUNDLE = {"kind": "transfer", "models_of": "https://example.org/b.zip", "sha256": 64 * "d"}
EXTRA = {"name": "people.txt", "urls": ["https://example.org/p.txt"], "sha256": 64 * "b"}


def told(project: Project) -> dict[str, list[list[str]]]:
    """By rule the inputs and the params of one job."""
    answer = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps([JOB, JOBS])],
        cwd=project.folder,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return json.loads(answer.stdout.splitlines()[-1])


def draw(project: Project, side: int) -> None:
    """Draw the mask, with a hole of that side."""
    pixels = np.full((64, 64), 255, np.uint8)
    pixels[:side, :side] = 0
    Image.fromarray(pixels).save(project.folder / "drawn.png")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Project, dict]:
    """A project with a dataset of each kind and a drawn mask, and what its rules say."""
    project = Project.new(tmp_path_factory.mktemp("rules") / "project")
    (project.folder / "photos").mkdir()
    (project.folder / "photos" / "a.jpg").write_bytes(b"a")
    draw(project, 10)
    project.configure(
        dataset="mine",
        datasets={
            "some": ARCHIVE | {"extras": [EXTRA]},
            "lent": LENT,
            "by_bundle": BY_BUNDLE,
        },
        align={"shards": 1},
        masks={"drawn": {"kind": "file", "path": "drawn.png"}},
        compare={"masks": ["drawn"], "methods": ["ours", "telea"]},
        restore={"family": {"path": "photos", "hole": "drawn", "method": "ours"}},
    )
    return project, told(project)


@pytest.fixture
def changed(whole, tmp_path):
    """A copy of the project to change, and a function that says which rules notice."""
    project = whole[0].copy(tmp_path / "project")

    def noticing() -> set[str]:
        now = told(project)
        return {rule for rule, before in whole[1].items() if now[rule] != before}

    return project, noticing


def test_every_job_depends_on_code(changed):
    """A shared function changes: all jobs that use it notice, and no file of code is an input."""
    project, noticing = changed
    files = {file for inputs, _ in told(project).values() for file in inputs}
    assert not [file for file in files if file.endswith((".py", ".smk"))]
    for script in (project.folder / "workflow" / "scripts").glob("*.py"):
        with script.open("a") as file:
            file.write("\nassert True\n")
    assert noticing() == set(told(project))


def test_a_search_depends_on_its_model_and_encoder(whole):
    files = ("weights.safetensors", "settings.json")
    needed = {f"results/mine/models/{one}/{file}" for one in ("dcgan", "encoder") for file in files}
    assert needed <= set(whole[1]["complete_latent"][0])


def test_validation_faces_calibrate(whole):
    files = whole[1]["calibrate"][0]
    assert {f"results/mine/splits/val.{kind}" for kind in ("npy", "csv")} <= set(files)
    assert not [file for file in files if "test" in file or "completions" in file]


def test_another_content_of_a_drawn_mask_is_noticed(changed):
    project, noticing = changed
    draw(project, 20)
    assert noticing() == {*COMPLETE, *MEASURED}


def test_another_content_of_a_photo_is_noticed(changed):
    project, noticing = changed
    (project.folder / "photos" / "a.jpg").write_bytes(b"b")
    assert noticing() == {"index", "align", "restore_set"}


def test_another_value_and_another_archive_are_noticed(changed):
    project, noticing = changed
    extra = EXTRA | {"sha256": 64 * "c"}
    project.configure(methods={"ours": {"steps": 5}}, datasets={"some": {"extras": [extra]}})
    searched = {"complete_latent", "calibrate", "report", "bundle", "restore_set"}
    assert noticing() == searched | {"download"}


def test_another_bundle_is_noticed(changed):
    project, noticing = changed
    project.configure(datasets={"by_bundle": {"sha256": 64 * "e"}})
    assert noticing() == {"transfer_bundle"}


def test_what_changes_no_result_is_for_the_report_alone(changed):
    """A mirror more, another cache, the masks for which a method is asked."""
    project, noticing = changed
    mirrors = {"urls": [*ARCHIVE["urls"], "https://example.com/a.tgz"]}
    project.configure(datasets={"some": mirrors}, cache="elsewhere")
    project.configure(methods={"ours": {"masks": ["drawn"]}})
    assert noticing() == {"report"}


def test_finished_faces_are_noticed_by_content(changed):
    """Another picture in the folder; the folder by another path is for the report alone."""
    project = changed[0]
    folder = project.folder / "finished"
    folder.mkdir()
    for name, grey in (("a", 1), ("b", 2)):
        Image.new("L", (64, 64), grey).save(folder / f"{name}.png")
    project.configure(methods={"external": {"kind": "external", "folder": "finished"}})
    before = told(project)

    def noticed() -> set[str]:
        now = told(project)
        return {rule for rule in now if now[rule] != before[rule]}

    folder.rename(project.folder / "elsewhere")
    project.configure(methods={"external": {"folder": "./elsewhere"}})
    assert noticed() == set()
    Image.new("L", (64, 64), 3).save(project.folder / "elsewhere" / "b.png")
    assert noticed() == {"complete_external"}


# A statement more in a module of a kind: what notices is what uses that kind. The mask of this
# project is drawn; its models learn under others.
KINDS = {
    "masks/file/__init__.py": {*COMPLETE, *MEASURED},
    "masks/lowres.py": {"train_encoder", "train_glcic"},
    "models/glcic/trained.py": {"train_glcic", "complete_feedforward"},
}


@pytest.mark.parametrize("module", KINDS)
def test_the_code_of_a_kind_is_that_of_all_who_use_it(changed, module):
    project, noticing = changed
    with (project.folder / "workflow/facefill" / module).open("a") as file:
        file.write("\nassert True\n")
    assert noticing() == KINDS[module]
