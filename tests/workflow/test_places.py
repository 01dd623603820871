"""The project may lie anywhere: no shell gets a path that is not quoted."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from project import Project, mistake, names

pytestmark = pytest.mark.slow


def test_a_project_and_its_python_in_an_odd_place(tmp_path):
    place = """it's my "a" & c; $(touch x) `touch y`"""
    project = Project.new(tmp_path / place / "project")
    project.configure(dataset="mine")
    for person in ("somebody", "another", "a third"):
        photo = project.folder / "photos" / person / "1.png"
        photo.parent.mkdir(parents=True)
        Image.new("RGB", (50, 50)).save(photo)
    environment = tmp_path / place / "environment"
    environment.symlink_to(Path(sys.executable).parents[1])
    process = subprocess.run(
        [str(environment / "bin" / "python"), "-m", "snakemake", "--until", "index"],
        cwd=project.folder,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert "somebody/1.png" in (project.folder / "results/mine/index.csv").read_text()
    assert not list(tmp_path.rglob("[xy]"))


def test_a_place_with_braces_is_refused(tmp_path):
    project = Project.new(tmp_path / "{photo}" / "project")
    names(mistake(project, "--dry-run"), "{photo}/project", "braces", "move the project")
