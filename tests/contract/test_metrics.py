"""What every measure must do, and that a new one is a single file."""

import math
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

import facefill.metrics
from facefill.calibrate import Calibration
from facefill.core.files import write_table
from facefill.kinds import kinds
from facefill.measure import FaceSet, write_set_metrics
from facefill.metrics import FaceMetric, SetMetric, SetValue, face_metrics, set_metrics
from facefill.report import page
from facefill.report.publish import publish
from pairs import face_pair
from project import ROOT
from report_tree import ONE_TRAINING, Tree

METRICS = list(kinds("metrics"))
FACE = list(face_metrics())
SETS = list(set_metrics("completions", "samples", "generator"))
SIZE = 16
NEW = {
    "new_face": '''
from facefill.kinds import declare
from facefill.metrics import FaceMetric


@declare
class NewFace(FaceMetric):
    """The largest difference."""

    heading = "new of the face"
    better = "lower"
    explanation = "It is <new>."

    def measure(self, pair):
        import numpy as np

        return float(np.abs(pair.original.astype(int) - pair.completed).max())
''',
    "new_set": '''
from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class NewSet(SetMetric):
    """How many there are."""

    heading = "new of the set"
    better = "higher"
    applies = ("completions", "generator")

    def measure(self, sets):
        return float(len(sets.fake)), len(sets.fake)
''',
}


def noisy(faces, noise, seed=1):
    change = np.random.default_rng(seed).normal(0, noise, faces.shape)
    return np.clip(faces + change, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def faces():
    coarse = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


def pair(face, completed, known, distance=0.0):
    return face_pair(
        face,
        completed,
        known,
        completed_descriptor=np.full(128, distance),
        original_landmarks=np.full((68, 2), SIZE / 2),
        completed_landmarks=np.full((68, 2), SIZE / 2 + distance),
    )


def face_set(real, fake, samples=None):
    flat = (real.reshape(len(real), -1)[:, :128] / 255, fake.reshape(len(fake), -1)[:, :128] / 255)
    descriptors = None
    if samples is not None:
        descriptors = samples.reshape(*samples.shape[:2], -1)[..., :128] / 255
    return FaceSet(
        real=real,
        fake=fake,
        real_descriptors=flat[0],
        fake_descriptors=flat[1],
        holes=np.ones((len(real), SIZE, SIZE), bool),
        samples=samples,
        sample_descriptors=descriptors,
        calibration=Calibration(1.0, len(real)),
        people=np.arange(len(real)).astype(str).repeat(2)[: len(real)],  # two photos each
        gallery=flat[0],
        gallery_people=np.arange(len(real)).astype(str).repeat(2)[: len(real)],
        gallery_rows=np.arange(len(real)),
        masked_descriptors=flat[0],
    )


@pytest.mark.parametrize("name", METRICS)
def test_it_says_what_the_report_needs(name):
    metric = kinds("metrics")[name]()
    assert isinstance(metric, FaceMetric) != isinstance(metric, SetMetric)
    assert metric.heading and "|" not in metric.heading
    assert metric.better in ("higher", "lower") and metric.remark
    assert metric.decimals >= 0 and metric.factor > 0
    assert set(metric.shown) <= {"page", "published", "plot"}
    assert metric.settings() == {}  # nothing in the configuration names it
    if isinstance(metric, SetMetric):
        assert set(metric.applies) & {"completions", "samples", "generator"} == set(metric.applies)
        assert metric.applies


def test_headings_tell_them_apart():
    for subjects in (["completions", "samples"], ["generator"]):
        shown = [(metric.heading, metric.remark) for metric in set_metrics(*subjects).values()]
        assert len(set(shown)) == len(shown)
    headings = [metric.heading for metric in face_metrics().values()]
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize("name", FACE)
def test_a_better_completion_has_the_better_value(name, faces):
    metric, known = face_metrics()[name], np.zeros((SIZE, SIZE), bool)
    near = metric.measure(pair(faces[0], noisy(faces[0], 5), known, 0.01))
    far = metric.measure(pair(faces[0], noisy(faces[0], 80), known, 0.1))
    assert isinstance(near, float) and math.isfinite(near) and math.isfinite(far)
    if metric.ranked:
        assert (near > far) == (metric.better == "higher")
    assert metric.measure(pair(faces[0], noisy(faces[0], 5), known, 0.01)) == near


@pytest.mark.parametrize("name", FACE)
def test_a_face_without_a_hole_may_have_no_value_but_no_error(name, faces):
    value = face_metrics()[name].measure(pair(faces[0], faces[0], np.ones((SIZE, SIZE), bool)))
    assert isinstance(value, float) and not math.isinf(value)


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_a_value_and_its_number(name, faces):
    metric = set_metrics("completions", "samples", "generator")[name]
    samples = np.stack([noisy(faces, 30, seed) for seed in range(3)], axis=1)
    found = SetValue(*metric.measure(face_set(faces, samples[:, 0], samples)))
    assert isinstance(found.value, float) and math.isfinite(found.value)
    assert found.faces == len(faces) and not found.low > found.high
    again = SetValue(*metric.measure(face_set(faces, samples[:, 0], samples)))
    assert str(again) == str(found)  # the limits may be NaN


@pytest.mark.parametrize("name", SETS)
def test_one_face_is_no_error(name, faces):
    metric = set_metrics("completions", "samples", "generator")[name]
    found = metric.measure(face_set(faces[:1], faces[:1], faces[:1, None].repeat(2, 1)))
    value, count, low, high = SetValue(*found)
    assert isinstance(value, float) and count in (0, 1)
    assert math.isnan(low) and math.isnan(high)  # nothing is known of other people


# -- a new measure is one file ---------------------------------------------------------------


@pytest.fixture
def new(tmp_path, monkeypatch):
    """Two measures more, each a file of its own."""
    folder = tmp_path / "more"
    folder.mkdir()
    for name, code in NEW.items():
        (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(facefill.metrics, "__path__", [*facefill.metrics.__path__, str(folder)])
    kinds.cache_clear()
    yield
    kinds.cache_clear()
    for name in NEW:
        sys.modules.pop(f"facefill.metrics.{name}", None)
        vars(facefill.metrics).pop(name, None)


def test_a_new_measure_comes_last(new, faces, tmp_path):
    assert list(face_metrics()) == [*FACE, "new_face"]
    assert list(face_metrics("plot"))[-1] == "new_face"
    assert list(set_metrics("completions"))[-1] == list(set_metrics("generator"))[-1] == "new_set"
    write_set_metrics(tmp_path / "x.csv", face_set(faces, faces), ["generator"])
    assert (tmp_path / "x.csv").read_text().splitlines()[-1] == "new_set,6.000000000,6,,"


@pytest.mark.slow
def test_a_new_measure_is_in_the_whole_report(new, tmp_path):
    faces = np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE, 3), np.uint8)
    masks = {"center": {"kind": "center", "scale": 0.25}}
    methods = {"near": (10, 2), "far": (90, 0)}
    config = {"align": {"size": SIZE, "zoom": 1.0, "landmarks": "innerEyesAndBottomLip"}}
    tree = Tree(tmp_path / "results", faces, masks, methods)
    outputs = tree.report(tmp_path / "report", config=config)
    assert pd.read_csv(outputs.metrics).columns[-1] == "new_face"
    summary = pd.read_csv(outputs.summary)
    assert summary.columns[-3:].tolist() == ["new_face", "new_face_low", "new_face_high"]
    differences = pd.read_csv(outputs.differences).query("metric == 'new_face'")
    assert differences["better"].tolist() == ["near", "near"]
    sets = pd.read_csv(outputs.set_metrics)
    assert (sets["metric"] == "new_set").sum() == 2
    columns = [
        column.text
        for column in page.set_table(sets, ONE_TRAINING, "center", "completions").columns
    ]
    assert columns[-1] == "new of the set"
    plotted = len(face_metrics("plot"))
    assert iio.imread(outputs.metrics_png).shape[1] == 400 * plotted  # an axis each
    html = Path(outputs.index).read_text(encoding="utf-8")
    assert html.count("new of the face") == 2 and "It is &lt;new&gt;." in html
    assert "new of the set" in html
    models = {"model": "dcgan", "metric": ["kid_dlib", "new_set"], "value": [0.1, 7.0], "faces": 7}
    models |= {"low": np.nan, "high": np.nan}
    write_table(outputs.model_metrics, pd.DataFrame(models))
    names = ["summary", "differences", "trainings", "set_metrics", "timings", "model_metrics"]
    inputs = {name: getattr(outputs, name) for name in [*names, "provenance"]}
    inputs |= {"searches": [], "template": ROOT / "workflow/report/results.md.j2"}
    publish(
        tmp_path / "page.md", inputs, dataset="faces", searched=[], jobs=[], command="snakemake"
    )
    text = (tmp_path / "page.md").read_text()
    assert text.count("new of the face") == 3 and "7.000 (N = 7)" in text
