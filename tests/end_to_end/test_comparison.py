"""A small build of unlike masks and methods: nothing hidden, only means known, samples."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from project import Project

pytestmark = pytest.mark.slow

MASKS = ["full", "lowres", "drawn"]
METHODS = ["ours", "hmc", "glcic", "telea", "mean"]
FACES, SAMPLES = 3, 2
FEWER = 2  # faces of the slow method


@pytest.fixture(scope="module")
def project(synthetic_project, tmp_path_factory) -> Project:
    project = synthetic_project.copy(tmp_path_factory.mktemp("comparison") / "project")
    (project.folder / "docs").mkdir()
    drawn = np.full((64, 64), 255, np.uint8)
    drawn[:20], drawn[40:50, 30:40] = 0, 0  # two holes, one of them along a border
    Image.fromarray(drawn).save(project.folder / "drawn.png")
    hmc = {"kind": "latent", "model": "dcgan", "optimizer": "hmc", "steps": 2, "hmc_leapfrog": 2}
    hmc |= {"faces": FEWER}
    project.configure(
        methods={"ours": {"samples": SAMPLES, "restarts": 2, "steps": 12}, "hmc": hmc},
        masks={"drawn": {"kind": "file", "path": "drawn.png"}},
        compare={"masks": MASKS, "methods": METHODS, "faces": FACES},
    )
    project.build("results/synthetic/results.md")
    return project


@pytest.fixture(scope="module")
def results(project):
    return project.folder / "results/synthetic"


@pytest.fixture(scope="module")
def originals(results):
    names = pd.read_csv(results / "splits/test.csv")["face"]
    return dict(zip(names, np.load(results / "splits/test.npy"), strict=True))


def completed(results, mask, method):
    folder = results / "completions" / mask / method / "faces"
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_is_hidden_nothing_changes(results, originals, method):
    faces = completed(results, "full", method)
    assert len(faces) == (FEWER if method == "hmc" else FACES)
    assert all((face == originals[name]).all() for name, face in faces.items())
    metrics = pd.read_csv(results / f"completions/full/{method}/metrics.csv")
    assert metrics[["hole_psnr", "hole_l1", "hole_ssim"]].isna().all(axis=None)
    assert (metrics["psnr"] == 100).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_drawn_mask_hides_what_is_black(results, originals, method):
    known = np.asarray(Image.open(results.parents[1] / "drawn.png")) == 255
    for name, face in completed(results, "drawn", method).items():
        assert (face[known] == originals[name][known]).all()
        assert (face[~known] != originals[name][~known]).mean() > 0.5


def test_telea_follows_the_known_means(results, originals):
    """Enlarged from 8x8 means, a face still has those means, roughly; the mean face has others."""

    def error(method):
        faces = completed(results, "lowres", method)
        blocks = [
            (face.astype(float) - originals[name]).reshape(8, 8, 8, 8, 3).mean((1, 3))
            for name, face in faces.items()
        ]
        return np.abs(blocks).mean()

    assert error("telea") < 8 < error("mean")


def test_there_are_several_completions_of_a_face(results):
    for mask in MASKS:
        folder = results / "completions" / mask / "ours"
        samples = np.load(folder / "samples.npy")
        assert samples.shape == (FACES, SAMPLES, 64, 64, 3)
        first = np.stack(list(completed(results, mask, "ours").values()))
        assert (samples[:, 0] == first).all()
        assert (samples[:, 0] == samples[:, 1]).all() == (mask == "full")
    sets = pd.read_csv(results / "report/set_metrics.csv")
    spread = sets[sets["metric"] == "sample_spread"].set_index("mask")["value"]
    assert list(spread.index) == MASKS
    assert np.isnan(spread["full"]) and (spread.drop("full") > 0).all()


def test_every_pair_of_methods_is_compared(results):
    differences = pd.read_csv(results / "report/differences.csv")
    pairs = differences.groupby(["mask", "method", "other"]).ngroups
    assert pairs == len(MASKS) * len(METHODS) * (len(METHODS) - 1)
    shared = differences[differences["mask"] == "drawn"].groupby(["method", "other"])["faces"].max()
    assert shared["ours", "telea"] == FACES and shared["ours", "hmc"] == FEWER


def test_a_completion_network_leaves_what_a_model_leaves(results):
    history = pd.read_csv(results / "models/glcic/history.csv")
    assert history["phase"].tolist() == [1, 2, 3] and history["kept"].tolist() == [0, 0, 1]
    assert history["val_identity_distance"].notna().tolist() == [False, False, True]
    settings = json.loads((results / "models/glcic/settings.json").read_text())
    assert settings["joint_epochs"] == 1 and isinstance(settings["warnings"], list)
    for name in ("losses.png", "samples.png", "samples.gif", "events"):
        assert (results / "models/glcic" / name).exists()
    page = (results / "report/index.html").read_text(encoding="utf-8")
    assert "its phases shaded" in page and "Completions over the training" in page
    timings = pd.read_csv(results / "report/timings.csv").set_index("stage")
    assert timings.loc["complete_feedforward", "items"].max() == len(MASKS) * FACES
    assert timings.loc["train_glcic", "items"].max() > 0


def test_the_figures_are_published(project):
    page = (project.folder / "results/synthetic/results.md").read_text(encoding="utf-8")
    assert "snakemake results/synthetic/results.md\n" in page
    for mask in MASKS:
        assert f"## Mask {mask}\n" in page
    assert page.count("| telea | 3 | ") == page.count("| hmc | 2 | ") == len(MASKS)
    assert page.count("How fast the known pixels are fitted") == len(MASKS)
    assert "Over the faces that both completed" in page and "| dcgan | " in page
    assert project.planned("results/synthetic/results.md") == {}
