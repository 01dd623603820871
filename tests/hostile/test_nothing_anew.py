"""Nothing is made anew for nothing: other paths, failures, upstream jobs that come out equal.

Every case failed at 78c11f5 in the way that its comment says.
"""

import os
import shutil

import pytest

from digests import digests
from project import Project, three_photos

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("written", ["photos/", "./photos", "../project/photos", "link", "moved"])
def test_the_same_photos_by_another_path(built, written, told):
    """All 19 jobs at 78c11f5. The report says where the photos lie."""
    if written == "link":
        (built.folder / "link").symlink_to(built.folder / "photos")
    if written == "moved":
        (built.folder / "photos").rename(built.folder / "moved")
    built.configure(datasets={"mine": {"path": written}})
    assert built.planned() == {"report": 1}
    told("environment", "the same photos by another path", "(the report runs again: it names it)")


def kept(project: Project) -> set[str]:
    """The jobs that took a result that was kept, by the names of their logs."""
    top = project.folder / "results/logs/mine"
    logs = {path.relative_to(top).as_posix(): path.read_text() for path in top.rglob("*.log")}
    return {name.removesuffix(".log") for name, text in logs.items() if "kept from the" in text}


TRAINED = {"train_dcgan/dcgan", "train_encoder/encoder", "train_glcic/glcic"}
PAIRS = ("center/ours", "small/ours", "center/other", "center/glcic", "center/telea",
         "small/telea", "center/mean")  # fmt: skip
BELOW_SPLIT = TRAINED | {f"measure/{pair}" for pair in PAIRS} | {"describe/val", "describe/test"}
BELOW_SPLIT |= {"measure_model/dcgan", "complete_mean/center/mean"}
BELOW_SPLIT |= {f"complete_latent/{pair}" for pair in PAIRS[:3]}
BELOW_SPLIT |= {"complete_feedforward/center/glcic"}
BELOW_SPLIT |= {f"complete_telea/{mask}/telea" for mask in ("center", "small")}


def test_what_comes_out_equal_costs_nothing_below(built, told):
    """Everything was trained again at 78c11f5."""
    before, logs = digests(built.folder / "results"), "results/logs/mine/train_dcgan/dcgan.json"
    timing = (built.folder / logs).read_text()
    built.configure(align={"max_pixels": 10_000_000})
    assert built.planned()["train_dcgan"] == 1  # for all that a plan can know
    built.build()
    assert kept(built) == BELOW_SPLIT
    assert (built.folder / logs).read_text() == timing  # of the real work, for the report
    assert built.planned() == {}
    assert digests(built.folder / "results") == before
    told("environment", "an alignment made anew that comes out equal", "(nothing is trained)")
    built.build("--forcerun", "train_glcic")
    assert not {"train_glcic/glcic", "complete_feedforward/center/glcic"} & kept(built)


def test_a_split_that_fails_and_the_former_setting(built, told):
    """Nothing was left at 78c11f5 to go back to."""
    before = digests(built.folder / "results")
    built.configure(split={"val": 500, "test": 500})
    assert built.snakemake().returncode == 1
    built.configure(split={"val": 0.2, "test": 0.2})
    built.build()
    assert kept(built) == BELOW_SPLIT
    assert digests(built.folder / "results") == before
    told("environment", "a split that fails, and its former setting again", "(nothing is trained)")


def test_what_is_kept_goes_with_the_results(built):
    shutil.rmtree(built.folder / "results")
    built.build("results/mine/index.csv")
    assert not list((built.folder / ".snakemake/facefill-kept").rglob("result.json"))


def test_an_archive_of_this_machine_that_was_replaced(tmp_path, told):
    """Nothing was planned at 78c11f5, and the index was stale."""
    project = three_photos(Project.new(tmp_path / "project"))
    archive = tmp_path / "photos.zip"
    shutil.make_archive(str(archive.with_suffix("")), "zip", project.folder / "photos")
    project.configure(
        dataset="zip",
        datasets={"zip": {"kind": "archive", "urls": [archive.as_uri()], "identity": "file"}},
    )
    project.build("results/zip/index.csv")
    os.utime(archive)
    assert project.planned("results/zip/index.csv") == {}
    shutil.rmtree(next((project.folder / "photos").iterdir()))
    shutil.make_archive(str(archive.with_suffix("")), "zip", project.folder / "photos")
    assert project.planned("results/zip/index.csv") == {"download": 1, "index": 1}
    told("environment", "a file:// archive that was replaced", "(its photos are read anew)")
