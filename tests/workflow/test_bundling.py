"""The bundle in the workflow: after the report, and again only when something in it changes."""

import os
import time

import pytest

from bundles import honest, members_of, zipped
from facefill.bundle.read import open_bundle
from facefill.core.files import read_table
from project import mistake, names

pytestmark = pytest.mark.slow

BUNDLE = "results/mine/bundle.zip"
FLOW = "results/mine/models/flow/weights.safetensors"


def test_what_a_bundle_needs(folder_project):
    """Nothing is trained or completed for it; a build without it does not make it."""
    assert folder_project.planned(BUNDLE) == {"bundle": 1}
    assert folder_project.planned() == {}


def test_a_bundle_is_made_once(built):
    built.build("--cores", "1", BUNDLE)
    bundle = open_bundle(built.folder / BUNDLE)
    assert {*bundle.contents["models"]} == {"dcgan", "encoder", "glcic"}
    assert bundle.contents["data"] == {"kind": "folder"}
    assert str(built.folder) not in str(bundle.contents)
    later = time.time() + 10
    for path in (built.folder / "workflow").rglob("*"):
        os.utime(path, (later, later))
    assert built.planned(BUNDLE) == {}
    assert built.planned("--set-threads", "bundle=2", "--", BUNDLE) == {}
    for file, jobs in {
        "workflow/report/grid.rst": {"report": 1, "bundle": 1},
        "workflow/report/card.md.j2": {"bundle": 1},
        "LICENSE": {"bundle": 1},
    }.items():
        text = (built.folder / file).read_text()
        (built.folder / file).write_text(f"{text}\n")
        assert built.planned(BUNDLE) == jobs, file
        (built.folder / file).write_text(text)
    built.configure(methods={"telea": {"radius": 4}})
    planned = {"complete_telea": 2, "measure": 2, "report": 1, "bundle": 1}
    assert built.planned(BUNDLE) == planned
    built.configure(methods={"telea": {"radius": 3}}, compare={"methods": ["telea", "mean"]})
    assert built.planned(BUNDLE) == {"report": 1, "bundle": 1}


def test_a_start_that_has_seen_test_photos_is_refused(built):
    """Its networks would be tested on people whom they know."""
    built.build("--cores", "1", BUNDLE)
    photos = read_table(built.folder / "results/mine/index.csv", ["sha256"], text=["sha256"])
    members = members_of(built.folder / BUNDLE)
    members["photos.sha256"] = "".join(f"{each}\n" for each in photos["sha256"]).encode()
    (built.folder / "start.zip").write_bytes(zipped(honest(members)))
    built.configure(models={"flow": {"start": "start.zip"}, "gaussian": {"rank": 8}})
    names(mistake(built, FLOW), "start.zip: its networks were trained on", "of the test photos")
