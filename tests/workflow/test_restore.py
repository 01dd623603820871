"""snakemake restore: which photographs are restored, and what is restored again."""

import csv
import os
import time

import numpy as np
import pytest
from PIL import Image

from facefill.render import render_photo
from holes import over_the_mouth
from project import Project, mistake, names

pytestmark = pytest.mark.slow

SET = {"family": {"path": "damaged", "method": "mean"}}
EXIF_ORIENTATION = 274


def photograph(person: int) -> tuple[np.ndarray, np.ndarray]:
    """A rendered photo, uint8 [height, width, 3], and its 68 landmarks."""
    return render_photo(11, person, 0)[:2]


@pytest.fixture
def project(synthetic_project, tmp_path) -> Project:
    """With photographs: white paint, a mask, no hole, and a hole far from the face."""
    project = synthetic_project.copy(tmp_path / "project")
    project.configure(restore=SET)
    folder = project.folder / "damaged"
    (folder / "sub").mkdir(parents=True)
    photo, landmarks = photograph(0)
    painted = np.where(over_the_mouth(photo, landmarks)[..., None], photo, np.uint8(255))
    Image.fromarray(painted).save(folder / "painted.png")
    photo, landmarks = photograph(1)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # stored a quarter turn to the left of upright
    Image.fromarray(np.rot90(photo)).save(folder / "sub" / "masked.png", exif=exif)
    Image.fromarray(over_the_mouth(photo, landmarks)).save(folder / "sub" / "masked.mask.png")
    Image.fromarray(photograph(2)[0]).save(folder / "whole.jpg")
    photo, _ = photograph(3)
    Image.fromarray(photo).save(folder / "beside.png")
    beside = np.full(photo.shape[:2], 255, np.uint8)
    beside[:6, :6] = 0
    Image.fromarray(beside).save(folder / "beside.mask.png")
    return project


def manifest(project: Project) -> dict[str, dict[str, str]]:
    with open(project.folder / "results/synthetic/restored/family/manifest.csv") as file:
        return {row["photo"]: row for row in csv.DictReader(file)}


def test_photographs_are_restored_once(project):
    output = project.build("restore")
    assert "2 of 4 photographs are set aside (no_face 1, no_hole 1)" in output
    rows = manifest(project)
    assert {photo: row["status"] for photo, row in rows.items()} == {
        "beside.png": "no_face",
        "painted.png": "restored",
        "sub/masked.png": "restored",
        "whole.jpg": "no_hole",
    }
    assert rows["sub/masked.png"]["detail"] == "hole: mask"
    top = project.folder / "results/synthetic/restored/family"
    before = Image.open(project.folder / "damaged/sub/masked.png")
    after = Image.open(top / "photos/sub/masked.png")
    assert after.getexif()[EXIF_ORIENTATION] == 6
    mask = np.asarray(Image.open(project.folder / "damaged/sub/masked.mask.png"))
    differs = (np.asarray(before) != np.asarray(after)).any(2)
    assert differs.any() and not (differs & np.rot90(mask)).any()
    for file in ("faces/painted--1.png", "overview.png", "paint.html"):
        assert (top / file).stat().st_size
    page = (top / "index.html").read_text()
    assert "must not be used to identify anybody" in page
    shown = {file.name for file in (top / "page").iterdir()}
    assert "0003-masked.after-mean.jpg" in shown and "page/0003-masked.after-mean.jpg" in page

    assert project.planned("restore") == {}
    later = time.time() + 10
    for file in (project.folder / "damaged").rglob("*"):
        os.utime(file, (later, later))
    assert project.planned("restore") == {}
    assert project.planned() == {}  # the report is not concerned

    first = {file: file.read_bytes() for file in (top / "photos").rglob("*.png")}
    photo, landmarks = photograph(4)
    clear = np.dstack([photo, over_the_mouth(photo, landmarks) * np.uint8(255)])
    Image.fromarray(clear).save(project.folder / "damaged" / "clear.png")
    assert project.planned("restore") == {"restore_set": 1, "restore": 1}
    project.build("restore")
    log = (project.folder / "results/logs/synthetic/restore/family.log").read_text()
    assert "5 photographs, 1 of them to be restored" in log
    assert manifest(project)["clear.png"]["detail"] == "hole: transparent"
    assert {file: file.read_bytes() for file in first} == first

    # What is kept was edited where it is shown: it is restored again.
    (top / "photos/painted.png").write_bytes(b"edited")
    (project.folder / "damaged" / "clear.png").unlink()
    project.build("restore")
    assert {file: file.read_bytes() for file in first} == first


def test_what_restores_again(project):
    """Nothing is built here: a set that was never restored is planned with all its reasons."""
    project.configure(
        restore={"family": {"hole": "eyes"}, "other": {"path": "damaged", "method": "ours"}}
    )
    assert project.planned("restore") == {"restore_set": 2, "restore": 1}


def test_without_photographs_or_a_set(project):
    names(mistake(project, "-n", "restore", "--config", 'restore={"family": {"path": "none"}}'),
          "restore.family.path", "none")  # fmt: skip
    project.configure(restore={"family": {"method": "our"}})
    names(mistake(project, "-n", "restore"), "restore.family.method", "did you mean 'ours'")
