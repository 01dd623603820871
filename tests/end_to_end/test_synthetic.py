"""One small build from rendered photos to the report: is all of it there, and is it right?"""

import csv
import hashlib
import importlib.metadata
import itertools
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import cv2
import dlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facefill.config import load
from facefill.core.descriptor import Describer
from facefill.core.files import sha256_path
from facefill.metrics import face_metrics
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.train.weights import load as load_weights
from project import SYNTHETIC, TINY, Project

pytestmark = pytest.mark.slow

PHOTOS, COMPARED = SYNTHETIC["datasets"]["synthetic"]["faces"], SYNTHETIC["compare"]["faces"]
METHODS = SYNTHETIC["compare"]["methods"]
METRICS = "hole_psnr,psnr,hole_l1,l1,ssim,hole_ssim,identity_distance"
LANDMARKS = ",".join(f"x{number},y{number}" for number in range(68))
MATRIX = "m00,m01,m02,m10,m11,m12"
SPLIT = "face,identity,source"
# DESIGN.md, section 5. A table of the whole shape: path under results/synthetic and its columns.
TABLES = {
    "truth.csv": f"source,{LANDMARKS}",
    "index.csv": "source,identity,bytes,sha256",
    "manifest.csv": "source,identity,status,detail,face,sha256",
    "geometry.csv": f"face,{MATRIX},{LANDMARKS}",
    "splits/train.csv": SPLIT,
    "splits/val.csv": SPLIT,
    "splits/test.csv": SPLIT,
    "completions/center/ours/search.csv": "face,step,loss,contextual,prior,unweighted",
    "completions/center/ours/metrics.csv": f"face,{METRICS}",
    "completions/center/glcic/metrics.csv": f"face,{METRICS}",
    "completions/center/telea/metrics.csv": f"face,{METRICS}",
    "completions/center/mean/metrics.csv": f"face,{METRICS}",
    "models/dcgan/set_metrics.csv": "metric,value,faces,low,high",
    "report/model_metrics.csv": "model,metric,value,faces,low,high",
    "report/metrics.csv": f"mask,method,face,{METRICS}",
}
FILES = [
    *(f"aligned/shard-{shard}-of-3.{kind}" for shard in range(3) for kind in ("zip", "csv")),
    "faces.png",
    *(f"splits/{name}.npy" for name in ("train", "val", "test")),
    *(f"splits/{name}_descriptors.npy" for name in ("val", "test")),
    *(f"splits/{name}_landmarks.npy" for name in ("val", "test")),
    *(
        f"models/{model}/{name}"
        for model in ("dcgan", "encoder")
        for name in (
            "weights.safetensors",
            "settings.json",
            "history.csv",
            "losses.png",
            "samples.png",
            "samples.gif",
        )
    ),
    *(f"completions/center/{method}/grid.png" for method in METHODS),
    "completions/center/ours/progress.gif",
    "completions/center/ours/z.npy",
    "completions/center/ours/samples.npy",
    "completions/center/ours/interpolation.gif",
    *(
        f"report/{name}"
        for name in (
            "summary.csv",
            "differences.csv",
            "set_metrics.csv",
            "completion.gif",
            "search.png",
            "samples.png",
            "masks.png",
            "best.png",
            "median.png",
            "worst.png",
            "metrics.png",
            "perception.png",
            "reliability.png",
            "trainings.csv",
            "timings.csv",
            "timings.png",
            "provenance.json",
            "index.html",
        )
    ),
]
JOBS = [
    "render",
    "index",
    *(f"align/shard-{shard}-of-3" for shard in range(3)),
    "flatten",
    "split",
    "describe/test",
    "describe/val",
    "train_dcgan/dcgan",
    "train_encoder/encoder",
    "train_glcic/glcic",
    "measure_model/dcgan",
    "complete_latent/center/ours",
    "complete_feedforward/center/glcic",
    "complete_telea/center/telea",
    "complete_mean/center/mean",
    *(f"measure/center/{method}" for method in METHODS),
    "report",
]


@pytest.fixture(scope="module")
def project(synthetic_project) -> Project:
    return synthetic_project


@pytest.fixture(scope="module")
def results(project) -> Path:
    return project.folder / "results" / "synthetic"


@pytest.fixture(scope="module")
def faces(results) -> dict[str, np.ndarray]:
    """Every aligned face by its name."""
    return {path.stem: pixels(path) for path in sorted((results / "faces").glob("*.png"))}


@pytest.fixture(scope="module")
def summary(results) -> pd.DataFrame:
    return pd.read_csv(results / "report" / "summary.csv")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGB", path
        return np.asarray(image)


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[])


# -- the files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*FILES, *TABLES])
def test_every_file_of_the_design_is_there(results, path):
    assert (results / path).stat().st_size > 0


@pytest.mark.parametrize("path", TABLES)
def test_tables_have_exactly_the_columns_of_the_design(results, path):
    with open(results / path, newline="", encoding="utf-8") as file:
        columns = next(csv.reader(file))
    added = [metric for metric in face_metrics() if metric not in METRICS.split(",")]
    if path.endswith("/metrics.csv"):  # a new measure is a column more, at the end
        assert columns[len(columns) - len(added) :] == added
        columns = columns[: len(columns) - len(added)]
    assert ",".join(columns) == TABLES[path]
    assert len(table(results / path)) > 0


def test_the_summary_has_a_mean_and_an_interval_of_every_metric(results, summary):
    columns = set(summary.columns)
    expected = {
        f"{metric}{suffix}" for metric in face_metrics() for suffix in ("", "_low", "_high")
    }
    assert columns == {"mask", "method", "faces", *expected}
    assert list(summary["method"]) == list(METHODS)
    assert (summary["faces"] == COMPARED).all()
    every = pd.read_csv(results / "report/metrics.csv").groupby("method")
    for _, row in summary.iterrows():
        of_method = every.get_group(row["method"])
        for metric in face_metrics():
            assert row[metric] == pytest.approx(of_method[metric].mean(), abs=2e-6)
            assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]


def test_every_photo_is_listed_with_its_checksum(results):
    index = table(results / "index.csv")
    photos = sorted((results / "raw").rglob("*.jpg"))
    assert len(photos) == len(index) == PHOTOS
    assert list(index["source"]) == sorted(index["source"])
    assert list(table(results / "manifest.csv")["source"]) == list(index["source"])
    for source, size, sha256 in zip(index["source"], index["bytes"], index["sha256"], strict=True):
        data = (results / "raw" / source).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (size, sha256)


def test_faces_are_what_the_manifest_and_the_shards_say(results, faces):
    manifest = table(results / "manifest.csv")
    aligned = manifest[manifest["status"] == "aligned"]
    assert set(aligned["face"]) == set(faces) == set(table(results / "geometry.csv")["face"])
    for face, sha256 in zip(aligned["face"], aligned["sha256"], strict=True):
        data = (results / "faces" / f"{face}.png").read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
    for face, array in faces.items():
        assert array.shape == (64, 64, 3), face
        assert re.fullmatch(r"person-\d{4}__person-\d{4}-\d{3}", face)
    in_archives = 0
    for path in (results / "aligned").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            in_archives += len(archive.namelist())
    assert in_archives == len(faces)


@pytest.mark.parametrize("job", JOBS)
def test_every_job_has_a_log_and_a_benchmark(project, job):
    folder = project.folder / "results"
    log = (folder / "logs" / "synthetic" / f"{job}.log").read_text()
    assert "done: " in log and "ERROR" not in log
    timing = json.loads((folder / "logs" / "synthetic" / f"{job}.json").read_text())
    assert timing["rule"] == job.split("/")[0]
    assert timing["end"] >= timing["start"] and timing["items"] > 0 and timing["unit"]
    header, row = (folder / "benchmarks" / "synthetic" / f"{job}.tsv").read_text().splitlines()
    assert header.split("\t")[:2] == ["s", "h:m:s"]
    assert float(row.split("\t")[0]) > 0


def test_there_is_no_job_without_a_test_of_its_log(project):
    folder = project.folder / "results"
    for kind, suffix in (("logs", ".log"), ("logs", ".json"), ("benchmarks", ".tsv")):
        root = folder / kind / "synthetic"
        found = {str(path.relative_to(root).with_suffix("")) for path in root.rglob(f"*{suffix}")}
        assert found == set(JOBS)


def test_nothing_is_left_behind(results):
    left = [path for path in results.rglob("*") if "partial" in path.name or ".tmp" in path.name]
    left += list(results.glob("checkpoints/*"))
    assert left == []


# -- faces -------------------------------------------------------------------------------------


def test_nearly_all_photos_are_aligned(results):
    manifest = table(results / "manifest.csv")
    assert (manifest["status"] == "aligned").mean() >= 0.97
    assert (manifest.loc[manifest["status"] != "aligned", "detail"] != "").all()


def test_landmarks_are_where_the_renderer_put_them(results):
    """In pixels of the face: both the true and the found landmarks through the face's matrix."""
    names = LANDMARKS.split(",")
    truth = table(results / "truth.csv").set_index("source")
    geometry = table(results / "geometry.csv").set_index("face")
    manifest = table(results / "manifest.csv")
    errors = []
    for source, face in zip(manifest["source"], manifest["face"], strict=True):
        if not face:
            continue
        matrix = geometry.loc[face, MATRIX.split(",")].to_numpy(float).reshape(2, 3)
        true, found = (
            cv2.transform(rows[names].to_numpy(float).reshape(1, 68, 2), matrix)[0]
            for rows in (truth.loc[source], geometry.loc[face])
        )
        errors.append(np.linalg.norm(true - found, axis=1))
    assert np.median(errors) < 2
    assert np.median(errors) > 0  # the found ones are not the true ones copied


def test_the_found_landmarks_lie_on_the_template(results):
    """Inner eye corners and lower lip, which define the matrix, in pixels of a 64-pixel face."""
    expected = np.array([[0.363785, 0.177947], [0.618963, 0.172778], [0.500204, 0.750584]]) * 64
    for _, row in table(results / "geometry.csv").iterrows():
        matrix = row[MATRIX.split(",")].to_numpy(float).reshape(2, 3)
        anchors = row[[f"{axis}{number}" for number in (39, 42, 57) for axis in "xy"]]
        mapped = cv2.transform(anchors.to_numpy(float).reshape(1, 3, 2), matrix)[0]
        assert np.abs(mapped - expected).max() < 0.05


def test_people_look_different_to_dlib(results, faces):
    manifest = table(results / "manifest.csv").set_index("face")
    described = Describer(64, 1.0)(np.stack(list(faces.values())))
    descriptors = dict(zip(faces, described, strict=True))
    within, between = [], []
    for one, other in itertools.combinations(descriptors, 2):
        same = manifest.loc[one, "identity"] == manifest.loc[other, "identity"]
        distance = np.linalg.norm(descriptors[one] - descriptors[other])
        (within if same else between).append(distance)
    assert len(within) > 20
    assert np.median(between) >= 0.4
    assert np.median(between) > np.median(within)


# -- splits ------------------------------------------------------------------------------------


def test_nobody_is_in_two_splits(results):
    splits = [table(results / f"splits/{name}.csv") for name in ("train", "val", "test")]
    people = [set(split["identity"]) for split in splits]
    for one, other in itertools.combinations(people, 2):
        assert one and other and not one & other
    # A face's person is the folder of its photo, whatever the table says.
    for split in splits:
        assert list(split["identity"]) == [Path(source).parent.name for source in split["source"]]


def test_splits_hold_every_face_once_and_pixel_for_pixel(results, faces):
    seen = []
    for name in ("train", "val", "test"):
        array = np.load(results / f"splits/{name}.npy", mmap_mode="r")
        names = list(table(results / f"splits/{name}.csv")["face"])
        assert array.dtype == np.uint8 and array.shape == (len(names), 64, 64, 3)
        for row, face in zip(array, names, strict=True):
            assert np.array_equal(row, faces[face]), face
        seen += names
    assert sorted(seen) == sorted(faces)


# -- models ------------------------------------------------------------------------------------


def test_settings_beside_the_weights_are_complete(project, results):
    settings = json.loads((results / "models/dcgan/settings.json").read_text())
    configured = load(project.config())["models"]["dcgan"]
    del configured["seeds"]  # of which `seed` is one
    assert {key: settings[key] for key in configured} == configured
    assert settings["seed"] == 0
    assert settings["device"] and settings["torch"] == importlib.metadata.version("torch")
    # A checkpoint explains itself: the networks can be built from these settings alone.
    generator = Generator(
        64,
        settings["z_dim"],
        settings["generator_filters"],
        settings["kernel"],
        settings["antialias"],
    )
    discriminator = Discriminator(
        64,
        settings["discriminator_filters"],
        settings["kernel"],
        settings["fully_connected"],
        settings["spectral_norm"],
    )
    networks = {"generator": generator, "discriminator": discriminator}
    load_weights(results / "models/dcgan/weights.safetensors", settings, networks)


def test_an_encoder_knows_its_generator(results):
    settings = json.loads((results / "models/encoder/settings.json").read_text())
    weights = (results / "models/dcgan/weights.safetensors").read_bytes()
    assert settings["generator_sha256"] == hashlib.sha256(weights).hexdigest()


@pytest.mark.parametrize(("model", "epochs"), [("dcgan", 2), ("encoder", 1)])
def test_the_history_has_epochs_and_no_seconds(results, model, epochs):
    history = pd.read_csv(results / f"models/{model}/history.csv")
    assert list(history["epoch"]) == list(range(1, epochs + 1))
    assert np.isfinite(history.to_numpy(float)).all()
    times = [name for name in history if re.search("sec|time|date|per_s|rate|speed", name)]
    assert times == []


# -- completions -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_completion_keeps_every_known_pixel(results, faces, method):
    hole = np.zeros((64, 64), bool)
    hole[16:48, 16:48] = True
    folder = results / "completions/center" / method / "faces"
    test = set(table(results / "splits/test.csv")["face"])
    completed = {path.stem: pixels(path) for path in folder.glob("*.png")}
    assert len(completed) == COMPARED and set(completed) <= test
    for face, array in completed.items():
        assert np.array_equal(array[~hole], faces[face][~hole])
        assert (array[hole] != faces[face][hole]).mean() > 0.5


def test_all_methods_complete_the_same_faces(results):
    chosen = [
        sorted(path.name for path in (results / f"completions/center/{method}/faces").glob("*"))
        for method in METHODS
    ]
    assert all(names == chosen[0] for names in chosen)


def test_the_mean_method_fills_in_the_mean_of_the_training_faces(results):
    mean = np.load(results / "splits/train.npy").mean(axis=0)[16:48, 16:48]
    for path in (results / "completions/center/mean/faces").glob("*.png"):
        assert np.abs(pixels(path)[16:48, 16:48] - mean).max() <= 0.5


def test_the_search_ends_with_the_z_of_every_face(results):
    search = table(results / "completions/center/ours/search.csv")
    z = np.load(results / "completions/center/ours/z.npy")
    assert search["face"].nunique() == COMPARED
    assert search["step"].max() == TINY["methods"]["ours"]["steps"]
    assert z.shape == (COMPARED, TINY["models"]["dcgan"]["z_dim"]) and np.isfinite(z).all()


def test_the_metrics_are_those_of_the_pictures(results, faces):
    """PSNR by its definition, from the files alone."""
    for method in METHODS:
        folder = results / "completions/center" / method
        metrics = pd.read_csv(folder / "metrics.csv").set_index("face")
        assert len(metrics) == COMPARED
        for face, row in metrics.iterrows():
            difference = pixels(folder / f"faces/{face}.png").astype(float) - faces[face]
            hole = np.square(difference[16:48, 16:48]).mean()
            assert row["hole_psnr"] == pytest.approx(10 * np.log10(255**2 / hole), abs=1e-5)
            whole = np.square(difference).mean()
            assert row["psnr"] == pytest.approx(10 * np.log10(255**2 / whole), abs=1e-5)


# -- the report --------------------------------------------------------------------------------


class Page(HTMLParser):
    """The addresses on a page, its elements, and its tables' rows as text."""

    ADDRESSES = ("src", "href", "srcset", "poster", "data", "action", "background", "xlink:href")

    def __init__(self, html: str):
        super().__init__()
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.addresses += [value for name, value in attributes if name in self.ADDRESSES]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def html(results) -> str:
    return (results / "report/index.html").read_text(encoding="utf-8")


def test_the_page_is_self_contained(html):
    page = Page(html)
    assert len(page.addresses) > 10
    outside = [
        address[:80] for address in page.addresses if not address.startswith(("data:image/", "#"))
    ]
    assert outside == []
    assert not page.elements & {"link", "iframe", "object", "embed", "base"}
    assert "@import" not in html
    assert re.findall(r"url\((?!['\"]?(?:data:|#))", html) == []
    anchors = {address for address in page.addresses if address.startswith("#")}
    assert all(f'id="{anchor[1:]}"' in html for anchor in anchors)


def test_the_page_shows_the_numbers_of_the_summary(html, summary, results):
    rows = Page(html).rows
    for _, row in summary.iterrows():
        shown = next(cells for cells in rows if cells and cells[0] == row["method"])
        assert shown[1] == str(COMPARED)
        text = " ".join(shown)
        for metric, decimals in (
            ("hole_psnr", 2),
            ("hole_ssim", 3),
            ("hole_l1", 1),
            ("ssim", 3),
            ("identity_distance", 3),
        ):
            assert f"{row[metric]:.{decimals}f}" in text.split(), (row["method"], metric)
    aligned = (table(results / "manifest.csv")["status"] == "aligned").sum()
    assert any(cells[:2] == ["aligned", str(aligned)] for cells in rows)


def test_the_provenance_is_enough_to_build_it_again(project, results):
    facts = json.loads((results / "report/provenance.json").read_text())
    whole, part = load(project.config()), load(facts["config"])
    for table in ("datasets", "masks", "methods", "models"):
        used = {name: whole[table][name] for name in part[table]}
        assert part.pop(table) == used and used
        whole.pop(table)
    assert part == whole
    for package in ("torch", "snakemake", "numpy", "pillow", "opencv-python-headless"):
        assert facts["packages"][package] == importlib.metadata.version(package)
    # dlib comes as the package dlib or as dlib-bin.
    dlibs = [version for name, version in facts["packages"].items() if name.startswith("dlib")]
    assert any(version and version.startswith(dlib.__version__) for version in dlibs), dlibs
    assert (
        facts["python"]
        and facts["platform"]
        and facts["devices"].keys() == {"dcgan", "encoder", "glcic"}
    )
    checked = {Path(file).name for file in facts["sha256"]}
    assert checked >= {"train.npy", "val.npy", "test.npy", "test.csv", "weights.safetensors"}
    assert checked >= {"faces", "manifest.csv", "summary.csv", "best.png", "completion.gif"}
    for file, sha256 in facts["sha256"].items():
        assert sha256_path(project.folder / file) == sha256


def test_the_timings_have_every_stage(results):
    timings = pd.read_csv(results / "report/timings.csv")
    assert {job.split("/")[0] for job in JOBS} - set(timings["stage"]) == {"report"}
    assert (timings["seconds"] > 0).all()


# -- once more ---------------------------------------------------------------------------------


def test_a_second_run_has_nothing_to_do(project, results):
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    assert "Nothing to be done" in project.build()
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


def test_snakemakes_own_report(project):
    project.build("--report", "report.html")
    report = (project.folder / "report.html").read_text(encoding="utf-8")
    assert len(report) > 1_000_000
    for path in ("report/summary.csv", "report/index.html", "completions/center/ours/grid.png"):
        assert f"results/synthetic/{path}" in report
