"""Fixtures for tests that need a built project."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from chromium import browser  # noqa: F401 (a fixture)
from facefill.render import photo_name, plan_photos, render_photo
from project import SYNTHETIC, TINY, Project
from told import Told

METHODS = ("ours", "other", "glcic", "telea", "mean")

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


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch computes in one thread: small networks gain nothing from more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory) -> Callable[[str, Callable[[Project], None]], Project]:
    """Makes a project of a name in only one of several processes of tests; the others wait."""
    home = tmp_path_factory.getbasetemp()
    home = home.parent if "PYTEST_XDIST_WORKER" in os.environ else home

    def get(name: str, build: Callable[[Project], None]) -> Project:
        folder, made = home / name / "project", home / f"{name}.made"
        with open(home / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed at it
                build(Project.new(folder))
                made.touch()
        return Project(folder)

    return get


@pytest.fixture(scope="session")
def folder_project(built_once) -> Project:
    """Built from a folder of photos, with every kind of model. Copy it before you change it.

    `ours` and `telea` complete two masks, the other methods one.
    """

    def build(project: Project) -> None:
        for person, shot in plan_photos(40, 20, 7):
            path = project.folder / "photos" / photo_name(person, shot)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(render_photo(7, person, shot)[0]).save(path, quality=90)
        project.configure(dataset="mine", **TINY)
        other = {"kind": "latent", "model": "dcgan", "steps": 3, "faces": 3}
        methods = {name: {"masks": ["center"]} for name in ("other", "glcic", "mean")}
        methods["other"] |= other
        project.configure(
            masks={"small": {"kind": "center", "scale": 0.4}},
            methods=methods,
            compare={"masks": ["center", "small"], "methods": [*METHODS]},
        )
        project.build()

    return built_once("folder", build)


@pytest.fixture(scope="session")
def synthetic_project(built_once) -> Project:
    """Built from rendered photos on one core. Copy it before you change it."""

    def build(project: Project) -> None:
        project.configure(**SYNTHETIC)
        project.build("--cores", "1")

    return built_once("synthetic", build)


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
