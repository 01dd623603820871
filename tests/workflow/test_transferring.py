"""A transfer of finished builds: what is planned, what reruns, what a report says."""

import json
import os
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facefill.render import render_photo
from project import Project, mistake, names

pytestmark = pytest.mark.slow

COMPARE = {"masks": ["center"], "methods": ["ours", "telea", "mean"]}
COMPLETED = {"complete_latent": 1, "complete_telea": 1, "complete_mean": 1, "measure": 3}
FROM_FACES = {"transfer_faces": 1, "transfer_split": 1, **COMPLETED, "report": 1}
TRAINED = {"transfer_models": 2, "transfer_training": 1, "measure_model": 1}
BY_BUNDLE = ["--config", "dataset=by_bundle"]


@pytest.fixture(scope="session")
def lent_once(built_once, folder_project, synthetic_project):
    """Two finished builds in one folder, and mine's faces completed by synthetic's models."""

    def build(project: Project) -> None:
        for part in ("results", ".snakemake", "photos", "config.yaml"):
            for source in (folder_project.folder / part, synthetic_project.folder / part):
                if source.is_dir():
                    shutil.copytree(source, project.folder / part, dirs_exist_ok=True)
        shutil.copy(folder_project.folder / "config.yaml", project.folder)
        lent = {"kind": "transfer", "models_of": "synthetic", "faces_of": "mine"}
        by_bundle = {"kind": "transfer", "models_of": "mine.zip", "faces_of": "synthetic"}
        added = {"lent": lent, "by_bundle": by_bundle}
        project.configure(
            dataset="lent", datasets={"synthetic": {"faces": 60}, **added}, compare=COMPARE
        )
        assert project.planned() == {"describe": 3, **FROM_FACES, **TRAINED}  # no training
        project.build("--cores", "1")

    return built_once("lent", build)


@pytest.fixture
def lent(lent_once, tmp_path) -> Project:
    return lent_once.copy(tmp_path / "project")


@pytest.mark.parametrize("dataset", ["lent", "mine", "synthetic"])
def test_nothing_is_made_again(lent_once, dataset):
    """Neither of the transfer, nor of what its files are links to."""
    assert lent_once.planned("--config", f"dataset={dataset}").keys() <= {"report"}
    if dataset == "lent":
        assert lent_once.planned() == {}


def test_a_touched_file_plans_nothing(lent):
    later = time.time() + 10
    files = [*(lent.folder / "photos").rglob("*.jpg"), lent.folder / "workflow/scripts/transfer.py"]
    files += (lent.folder / "results/synthetic/models").rglob("*.*")
    files += (lent.folder / "results/lent/splits").glob("*.*")
    for file in files:
        os.utime(file, (later, later))
    assert lent.planned() == {}


def test_a_photo_added_to_the_faces(lent):
    pixels = render_photo(9, 1, 0)[0]
    (lent.folder / "photos/new").mkdir()
    Image.fromarray(pixels).save(lent.folder / "photos/new/1.jpg", quality=90)
    assert lent.planned() == {"index": 1, "align": 1, "flatten": 1, "describe": 1, **FROM_FACES}


def test_another_training_of_the_models(lent):
    """What trains is the data set of the models."""
    lent.configure(models={"dcgan": {"beta1": 0.6}})
    plan = lent.plan()
    assert plan.wildcards["train_dcgan"] == {"dataset=synthetic, model=dcgan"}
    assert plan.wildcards["measure_model"] == {"dataset=lent, model=dcgan"}
    assert "transfer_training" not in plan.jobs and "transfer_split" not in plan.jobs


def test_where_everything_comes_from(lent_once):
    """The counts of training are those of the models; nobody of mine has vanished."""
    top = lent_once.folder / "results"
    origin = json.loads((top / "lent/splits/origin.json").read_text())
    train = pd.read_csv(top / "synthetic/splits/train.csv")
    assert origin["faces"]["train"] == len(train)
    assert origin["models_of"] == "synthetic" and origin["faces_of"] == "mine"
    facts = json.loads((top / "lent/report/provenance.json").read_text())
    assert facts["origin"] == origin and facts["counts"]["faces"]["train"] == len(train)
    manifest = pd.read_csv(top / "mine/manifest.csv")
    aside = pd.read_csv(top / "lent/splits/set_aside.csv")
    test = pd.read_csv(top / "lent/splits/test.csv")
    assert len(aside) == sum(origin["set_aside"].values())
    assert {*aside["face"]} | {*test["face"]} == {*manifest["face"].dropna()}
    page = (top / "lent/report/index.html").read_text(encoding="utf-8")
    assert "were set aside (<code>splits/set_aside.csv</code>)" in page
    one = "models/dcgan/weights.safetensors"
    assert os.path.samefile(top / "lent" / one, top / "synthetic" / one)


def test_the_other_way_by_a_bundle(lent):
    """mine's models complete synthetic's faces, without mine's photos."""
    lent.build("--cores", "1", "results/mine/bundle.zip", "--config", "dataset=mine")
    shutil.move(lent.folder / "results/mine/bundle.zip", lent.folder / "mine.zip")
    mistakes = {
        'align={"zoom": 0.9}': ["align.zoom is 0.9, but", "(mine.zip)", "zoom 1.0; set align.zoom"],
        'compare={"methods": ["glcic"]}': ["has no model 'glcic'", "it has: dcgan, encoder"],
        'datasets={"by_bundle": {"models_of": "no.zip"}}': ["no.zip: no such file; correct"],
        'datasets={"by_bundle": {"faces_of": null}}': ["faces_of is null", "`snakemake restore`"],
    }
    for change, parts in mistakes.items():
        names(mistake(lent, "--dry-run", *BY_BUNDLE, change), *parts)
    shutil.rmtree(lent.folder / "results/mine")
    shutil.rmtree(lent.folder / "photos")
    plan = lent.planned(*BY_BUNDLE)
    made = {"transfer_bundle": 1, "transfer_models": 2, "transfer_training": 1, "describe": 1}
    assert plan == {**made, **FROM_FACES}
    lent.build("--cores", "1", *BY_BUNDLE)
    assert lent.planned(*BY_BUNDLE) == {}
    top = lent.folder / "results/by_bundle"
    assert np.load(top / "splits/train.npy").shape == (1, 64, 64, 3)
    page = (top / "report/index.html").read_text(encoding="utf-8")
    assert "a bundle of the data set <code>mine</code>" in page
    assert "A bundle holds neither pictures nor descriptors" in page
