"""Fixtures for tests that need a built project."""

import os
from pathlib import Path

import pytest
from PIL import Image

from facefill.render import photo_name, plan_photos, render_photo
from project import TINY, Project
from told import Told

os.environ["GOMP_SPINCOUNT"] = "0"  # two tests share the cores: see common.smk


def pytest_addoption(parser):
    parser.addoption("--write-docs", action="store_true", help="write docs/hostile-input.md anew")


@pytest.fixture(scope="session")
def told(request):
    """Says what the user of a hostile case sees: told(part, case, line)."""
    table = Told(request.config.getoption("--write-docs"))
    yield table
    if table.writing:
        table.write()


@pytest.fixture(scope="session")
def folder_project(tmp_path_factory) -> Project:
    """A project built from a folder of photos. Copy it before you change it."""
    home = tmp_path_factory.mktemp("folder")
    project = Project.new(home / "project")
    for person, shot in plan_photos(40, 20, 7):
        path = project.folder / "photos" / photo_name(person, shot)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_photo(7, person, shot)[0]).save(path, quality=90)
    project.configure(dataset="mine", **TINY)
    project.build()
    return project


@pytest.fixture
def built(folder_project, tmp_path) -> Project:
    """A built project of one's own to change."""
    return folder_project.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def lfw_archive() -> Path:
    """The archive of LFW photos, where there is one."""
    path = os.environ.get("FACEFILL_LFW")
    if not path:
        pytest.skip("FACEFILL_LFW does not name the archive of LFW photos")
    return Path(path)
