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

from project import Project, mistake, names, three_photos


@pytest.fixture
def fresh(tmp_path) -> Project:
    """A project without results."""
    return Project.new(tmp_path / "project")


@pytest.fixture
def photos(fresh) -> Project:
    """A project of three good photos of two people in one shard."""
    return three_photos(fresh)


# -- archives ----------------------------------------------------------------------------------


def archive_project(project: Project, archive: Path, sha256: str | None = None) -> Project:
    """Make `archive` the dataset, with its true checksum if none is given."""
    if sha256 is None and archive.exists():
        sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    dataset = {"kind": "archive", "urls": [archive.as_uri()], "sha256": sha256}
    project.configure(dataset="some", datasets={"some": dataset})
    return project


def _png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


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
