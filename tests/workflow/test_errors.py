"""What goes wrong ends with one line that names the thing and the remedy, and no traceback."""

import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facefill.render import photo_name, plan_photos, render_photo
from project import Project


@pytest.fixture
def fresh(tmp_path) -> Project:
    """A project without results."""
    return Project.new(tmp_path / "project")


@pytest.fixture
def photos(fresh) -> Project:
    """A project of three good photos of two people in one shard."""
    fresh.configure(dataset="mine", align={"shards": 1})
    for person, shot in plan_photos(3, 2, 0):
        path = fresh.folder / "photos" / photo_name(person, shot)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_photo(0, person, shot)[0]).save(path, quality=90)
    return fresh


def mistake(project: Project, *arguments: str) -> str:
    """Run snakemake, which must end with exactly one line of ours; return that line."""
    process = project.snakemake(*arguments, timeout=120)
    assert process.returncode == 1, process.output[-3000:]
    assert "Traceback (most recent call last)" not in process.output, process.output[-3000:]
    lines = [line for line in process.output.splitlines() if line.startswith("facefill: ")]
    assert len(lines) == 1, "\n".join(lines) or process.output[-3000:]
    return lines[0]


def names(line: str, *parts: str) -> None:
    for part in parts:
        assert part in line, line


# -- the configuration -------------------------------------------------------------------------

CONFIGURATION = {
    "unknown key": (
        {"models": {"dcgan": {"epoch": 3}}},
        ["models.dcgan.epoch is not a known key", "did you mean 'epochs'?"],
    ),
    "unknown table": ({"compair": {}}, ["compair is not a known key", "did you mean 'compare'?"]),
    "wrong type": (
        {"models": {"dcgan": {"epochs": "many"}}},
        ["models.dcgan.epochs is 'many'", "expected integer", "config.schema.yaml"],
    ),
    "a text for a table": (
        {"compare": "everything"},
        ["compare is 'everything'", "expected object", "config.schema.yaml"],
    ),
    "out of range": (
        {"align": {"size": 16}},
        ["align.size is 16", "expected at least 32", "config.schema.yaml"],
    ),
    "not one of": (
        {"align": {"landmarks": "outerEyesAndNoze"}},
        ["align.landmarks is 'outerEyesAndNoze'", "did you mean 'outerEyesAndNose'?"],
    ),
    "missing key": (
        {"datasets": {"new": {"kind": "archive"}}},
        ["datasets.new.urls is missing", "add it", "config.schema.yaml"],
    ),
    "missing dataset": (
        {"dataset": "lfv"},
        ["dataset names 'lfv'", "not in datasets", "did you mean 'lfw'?"],
    ),
    "missing model": (
        {"methods": {"ours": {"model": "dcgam"}}},
        ["methods.ours.model names 'dcgam'", "not in models", "did you mean 'dcgan'?"],
    ),
    "missing method": (
        {"compare": {"methods": ["ours", "average"]}},
        ["compare.methods names 'average'", "not in methods", "known: "],
    ),
    "missing mask": (
        {"compare": {"masks": ["centre"]}},
        ["compare.masks names 'centre'", "not in masks", "did you mean 'center'?"],
    ),
    "shares and counts": (
        {"split": {"val": 0.1, "test": 100}},
        ["split.val is 0.1 and split.test is 100", "two shares below 1 or two counts"],
    ),
}


@pytest.mark.parametrize("case", CONFIGURATION)
def test_a_mistake_in_the_configuration(fresh, case):
    changes, parts = CONFIGURATION[case]
    fresh.configure(**changes)
    line = mistake(fresh)
    assert line.startswith("facefill: config: ")
    names(line, *parts)
    assert not (fresh.folder / "results").exists()


def test_a_mistake_on_the_command_line(fresh):
    names(
        mistake(fresh, "--config", 'models={"dcgan": {"batch": "1"}}'),
        "models.dcgan.batch is 1",
        "expected at least 2",
    )


def test_nested_values_of_the_command_line_are_read_as_what_they_should_be(fresh):
    """Snakemake hands them over as texts."""
    output = fresh.build(
        "--dry-run",
        "--config",
        'align={"shards": "2", "zoom": "0.9", "predictor": "null"}',
        'models={"dcgan": {"generator_lr": "2e-4", "flips": "false"}}',
        'split={"train": "null", "val": "0.1"}',
        'compare={"faces": "16", "methods": "[telea, mean]"}',
    )
    stats = dict(line.split() for line in output.splitlines() if line.startswith(("align ", "mea")))
    assert stats == {"align": "2", "measure": "2"}
    assert "train_dcgan" not in output


# -- photos ------------------------------------------------------------------------------------


def test_a_folder_that_does_not_exist(fresh):
    fresh.configure(dataset="mine", datasets={"mine": {"path": "no/such/folder"}})
    names(
        mistake(fresh),
        "datasets.mine.path",
        "no/such/folder",
        "not a folder",
        "put the photos there",
    )


def test_a_folder_without_photos(fresh):
    fresh.configure(dataset="mine")
    (fresh.folder / "photos").mkdir()
    (fresh.folder / "photos" / "notes.txt").write_text("none yet")
    names(mistake(fresh, "--until", "index"), "photos", "no photos in this folder", ".jpg")


def test_photos_without_faces(fresh):
    fresh.configure(dataset="mine", align={"shards": 1})
    folder = fresh.folder / "photos" / "nobody"
    folder.mkdir(parents=True)
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (160, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    line = mistake(fresh, "--until", "flatten")
    names(line, "none of 3 photos has a usable face", "no_face 3", "use photos with frontal faces")


def test_what_is_no_photo_is_set_aside_and_the_others_are_kept(photos):
    folder = photos.folder / "photos" / "person-0000"
    (folder / "text.jpg").write_text("this is a text, whatever its name says")
    (folder / "empty.jpg").write_bytes(b"")
    good = sorted(folder.glob("person-*.jpg"))[0]
    (folder / "half.jpg").write_bytes(good.read_bytes()[:2000])
    (folder / "nowhere.jpg").symlink_to("gone.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "tiny.png").write_bytes(_png(20, 20))
    photos.build("--until", "flatten")

    manifest = pd.read_csv(
        photos.folder / "results/mine/manifest.csv", keep_default_na=False
    ).set_index("source")
    status = manifest["status"].to_dict()
    assert {source: status[f"person-0000/{source}"] for source in sorted(SET_ASIDE)} == SET_ASIDE
    assert len(manifest) == 3 + len(SET_ASIDE)
    kept = manifest[manifest["status"] == "aligned"]
    assert len(kept) == 3 and (kept["face"] != "").all()
    aside = manifest[manifest["status"] != "aligned"]
    assert (aside["face"] == "").all() and (aside["sha256"] == "").all()
    for source in ("text.jpg", "empty.jpg", "half.jpg", "tiny.png"):
        assert aside.loc[f"person-0000/{source}", "detail"], source
    faces = {path.stem for path in (photos.folder / "results/mine/faces").glob("*.png")}
    assert faces == set(kept["face"])


SET_ASIDE = {
    "empty.jpg": "unreadable",
    "folder.jpg": "not_a_file",
    "half.jpg": "unreadable",
    "nowhere.jpg": "unreachable",
    "text.jpg": "unreadable",
    "tiny.png": "too_small",
}


def _png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_predictor_that_is_not_there(fresh):
    fresh.configure(align={"predictor": "gone.dat"})
    names(mistake(fresh), "align.predictor", "gone.dat", "no such file", "correct the path")


def test_a_table_of_people_that_is_not_there(photos):
    photos.configure(datasets={"mine": {"identity": {"table": "people.csv"}}})
    names(
        mistake(photos),
        "datasets.mine.identity.table",
        "photos/people.csv",
        "no such file",
        "correct the path or put it there",
    )


def test_a_table_of_people_that_misses_a_photo(photos):
    photos.configure(datasets={"mine": {"identity": {"table": "people.csv"}}})
    (photos.folder / "photos" / "people.csv").write_text("person-0000-000.jpg,Ann\n")
    names(
        mistake(photos, "--until", "index"),
        "photos/people.csv",
        "no line for the photo 'person-0001/person-0001-000.jpg'",
        "add ",
    )


def test_a_predictor_that_is_none(photos):
    (photos.folder / "model.dat").write_bytes(b"not a model")
    photos.configure(align={"predictor": "model.dat"})
    names(
        mistake(photos, "--until", "align"),
        "model.dat",
        "shape_predictor_68_face_landmarks.dat",
        "correct align.predictor",
    )


# -- archives ----------------------------------------------------------------------------------


def archive_project(project: Project, archive: Path, sha256: str | None = None) -> Project:
    """Make `archive` the dataset, with its true checksum if none is given."""
    if sha256 is None and archive.exists():
        sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    dataset = {"kind": "archive", "urls": [archive.as_uri()], "sha256": sha256}
    project.configure(dataset="some", datasets={"some": dataset})
    return project


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "photos.tgz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("some/one/photo.png")
        data = _png(50, 50)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return path


def test_an_archive_with_a_wrong_checksum(fresh, archive):
    line = mistake(archive_project(fresh, archive, "0" * 64), "--until", "download")
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    names(line, archive.name, "wrong checksum", actual, "0" * 64, "correct the dataset's urls or")
    assert not (fresh.folder / "results/some/raw").exists()


def test_an_archive_that_is_not_there(fresh, tmp_path):
    gone = tmp_path / "gone.tgz"
    line = mistake(archive_project(fresh, gone), "--until", "download")
    names(line, gone.as_uri(), "no such file", "correct the dataset's urls")


def test_an_archive_that_is_none(fresh, tmp_path):
    page = tmp_path / "photos.zip"
    page.write_text("something else")
    line = mistake(archive_project(fresh, page), "--until", "download")
    names(line, str(page), "neither a tar nor a zip", "urls")


def test_an_archive_that_leads_outside(fresh, tmp_path):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("../../outside.jpg")
        tar.addfile(member, io.BytesIO())
    line = mistake(archive_project(fresh, path), "--until", "download")
    names(line, str(path), "../../outside.jpg", "use another archive")


# -- between the stages ------------------------------------------------------------------------


def test_too_few_faces_for_a_batch(built):
    built.configure(models={"dcgan": {"batch": 1000}})
    count = len(pd.read_csv(built.folder / "results/mine/splits/train.csv"))
    names(
        mistake(built, "--until", "train_dcgan"),
        f"{count} faces",
        "fewer than one batch of 1000",
        "lower the model's batch",
    )


def test_an_empty_split(built):
    built.configure(split={"val": 0.2, "test": 0.000001})
    names(
        mistake(built, "--until", "split"),
        "the test split is empty",
        "raise split.test",
    )


def test_a_face_edited_by_hand(built):
    face = sorted((built.folder / "results/mine/faces").glob("*.png"))[0]
    pixels = np.asarray(Image.open(face)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(face)
    built.configure(split={"seed": 1})
    names(
        mistake(built, "--until", "split"),
        f"results/mine/faces/{face.name}",
        "not the face that was aligned",
        "delete results/mine/faces and run again",
    )
    shutil.rmtree(built.folder / "results/mine/faces")
    assert "rule flatten:" in built.build("--until", "split")


def test_weights_that_are_damaged(built):
    weights = built.folder / "results/mine/models/dcgan/weights.safetensors"
    weights.write_bytes(b"no weights")
    built.configure(methods={"ours": {"steps": 5}})
    names(
        mistake(built, "--until", "complete_latent"),
        str(weights.relative_to(built.folder)),
        "not readable weights",
        "delete results/mine/models/dcgan and run again",
    )
    shutil.rmtree(weights.parent)
    assert built.planned("--until", "complete_latent").keys() == {"train_dcgan", "complete_latent"}


def test_a_bug_of_ours_is_one_line_too(photos):
    """An error nobody foresaw names the rule and the log, which has the traceback."""
    bug = r'raise ValueError("name: \udcff")'  # as Python spells a file name that is not UTF-8
    script = "workflow/scripts/index.py"
    photos.edit(script, "params = snakemake.params", f"params = snakemake.params\n    {bug}")
    line = mistake(photos, "--until", "index")
    names(line, r"ValueError in rule index: name: \udcff", "see results/logs/mine/index.log")
    log = (photos.folder / "results/logs/mine/index.log").read_text()
    assert line.removeprefix("facefill: ") in log
    assert "Traceback (most recent call last)" in log and bug in log
