"""Real photos from a real archive: the first people of Labeled Faces in the Wild."""

import csv
import hashlib
import itertools
import tarfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

from project import TINY, Project

pytestmark = pytest.mark.slow

PEOPLE, PHOTOS = 40, 100
SMALL = TINY | {
    "dataset": "lfw",
    "align": {"shards": 2},
    "compare": {"methods": ["ours", "telea"], "faces": 4},
}


def first_people(archive: Path, target: Path) -> list[str]:
    """Write the first people of `archive`, at most PHOTOS of them, to `target`; return the names.

    Read as a stream and left after those: unpacking all of LFW would take longer than the test.
    """
    names, people = [], set()
    with tarfile.open(archive, "r|*") as source, tarfile.open(target, "w:gz") as small:
        for member in source:
            person = Path(member.name).parent.name
            if not member.isfile():
                continue
            if len(names) == PHOTOS or len(people | {person}) > PEOPLE:
                break
            people.add(person)
            names.append(member.name)
            small.addfile(member, source.extractfile(member))
    assert len(names) >= PEOPLE  # everybody has at least one photo
    return names


@pytest.fixture(scope="module")
def photos(lfw_archive, tmp_path_factory) -> tuple[Path, list[str]]:
    """A small archive with spaces in its path, and the names in it."""
    archive = tmp_path_factory.mktemp("lfw") / "first people.tgz"
    return archive, first_people(lfw_archive, archive)


@pytest.fixture(scope="module")
def project(photos, tmp_path_factory) -> Project:
    archive, _ = photos
    project = Project.new(tmp_path_factory.mktemp("lfw-build") / "project")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    small = SMALL | {"datasets": {"lfw": {"urls": [archive.as_uri()], "sha256": sha256}}}
    (project.folder / "small.yaml").write_text(yaml.safe_dump(small))
    project.build("--configfile", "small.yaml")
    return project


@pytest.fixture(scope="module")
def results(project) -> Path:
    return project.folder / "results" / "lfw"


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[])


def test_the_report_is_there(results):
    assert (results / "report/index.html").stat().st_size > 100_000
    summary = pd.read_csv(results / "report/summary.csv")
    assert list(summary["method"]) == ["ours", "telea"]
    assert (summary["faces"] == SMALL["compare"]["faces"]).all()


def test_every_photo_of_the_archive_is_in_the_manifest(results, photos):
    _, names = photos
    unpacked = {str(path.relative_to(results / "raw")) for path in (results / "raw").rglob("*.jpg")}
    assert unpacked == set(names)
    with open(results / "manifest.csv", newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    assert rows.keys() == set(names)
    # LFW lies in one top folder, which is nobody.
    assert all(row["identity"] == Path(source).parent.name for source, row in rows.items())


def test_nearly_all_photos_are_aligned(results):
    manifest = table(results / "manifest.csv")
    assert (manifest["status"] == "aligned").mean() >= 0.97
    assert len(list((results / "faces").glob("*.png"))) == (manifest["status"] == "aligned").sum()


def test_nobody_is_in_two_splits(results):
    splits = [table(results / f"splits/{name}.csv") for name in ("train", "val", "test")]
    people = [{Path(source).parent.name for source in split["source"]} for split in splits]
    for one, other in itertools.combinations(people, 2):
        assert one and other and not one & other
    assert sum(map(len, splits)) == (table(results / "manifest.csv")["status"] == "aligned").sum()


@pytest.mark.parametrize(
    ("stage", "unit"),
    [("align", "photos"), ("train_dcgan", "images"), ("complete_latent", "faces")],
)
def test_the_timings_say_how_fast_a_stage_was(results, stage, unit):
    timings = pd.read_csv(results / "report/timings.csv")
    row = timings[(timings["stage"] == stage) & timings["name"].isna()].iloc[0]
    assert row["unit"] == unit
    assert row["seconds"] > 0
    # The table rounds to milliseconds.
    assert row["items_per_second"] == pytest.approx(row["items"] / row["seconds"], rel=0.01)


def test_the_timings_count_all_photos_and_all_training_images(results, photos):
    _, names = photos
    items = pd.read_csv(results / "report/timings.csv").set_index("stage")["items"]
    assert items["align"] == len(names)
    batch, epochs = SMALL["models"]["dcgan"]["batch"], SMALL["models"]["dcgan"]["epochs"]
    batches = len(table(results / "splits/train.csv")) // batch
    assert items["train_dcgan"] == epochs * batches * batch


def test_a_second_run_has_nothing_to_do(project, photos):
    assert project.planned("--configfile", "small.yaml") == {}
    # What is unpacked is not needed twice: the archive may be gone by then.
    archive, _ = photos
    archive.rename(archive.with_suffix(".away"))
    assert project.planned("--configfile", "small.yaml") == {}


def test_a_mirror_more_is_only_for_the_report_another_archive_for_all(project):
    path = project.folder / "small.yaml"
    small = yaml.safe_load(path.read_text())
    small["datasets"]["lfw"]["urls"].append("https://example.org/mirror.tgz")
    path.write_text(yaml.safe_dump(small))
    assert project.planned("--configfile", "small.yaml") == {"report": 1}
    small["datasets"]["lfw"]["sha256"] = "0" * 64
    path.write_text(yaml.safe_dump(small))
    assert project.planned("--configfile", "small.yaml")["download"] == 1
