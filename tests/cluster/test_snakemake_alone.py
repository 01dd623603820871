"""An environment with Snakemake and nothing else plans builds, and facefill's own environment.

As where somebody submits jobs to a cluster, or lets Snakemake make the environments.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT, Project

pytestmark = pytest.mark.slow

# Answers what Snakemake asks of conda before it plans; conda itself is in no registry of Python's.
STAND_IN = """#!/bin/sh
case "$*" in
  "info --json") echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;
  "--version") echo "conda 24.7.1" ;;
  "config --get channel_priority --json") echo '{"get": {"channel_priority": "strict"}}' ;;
  *) echo "no conda here: $*" >&2; exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The programs of a new environment with Snakemake."""
    folder = tmp_path_factory.mktemp("alone")
    pins = (ROOT / "envs/requirements.txt").read_text()
    (snakemake,) = re.findall(r"^snakemake==\S+", pins, re.MULTILINE)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, snakemake], check=True)
    conda = folder / "bin/conda"
    conda.write_text(STAND_IN)
    conda.chmod(0o755)
    return folder / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project.new(tmp_path_factory.mktemp("planned") / "project")


def plans(alone: Path, project: Project, *arguments: str) -> str:
    """What a dry run says, which must succeed."""
    unwanted = ("PYTHONPATH", "VIRTUAL_ENV", "SNAKEMAKE_PROFILE")
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}
    environment["PATH"] = f"{alone}:{environment['PATH']}"
    process = subprocess.run(
        [alone / "snakemake", "--dry-run", *arguments],
        cwd=project.folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    assert process.returncode == 0, process.stdout[-3000:]
    return process.stdout


def test_nothing_that_jobs_need_is_there(alone):
    code = "import importlib.util as util, sys; sys.exit(any(map(util.find_spec, sys.argv[1:])))"
    heavy = ["PIL", "cv2", "dlib", "matplotlib", "numpy", "pandas", "scipy", "torch"]
    subprocess.run([alone / "python", "-c", code, *heavy], check=True)


def test_a_build_is_planned(alone, project):
    output = plans(alone, project)
    assert re.search(r"^train_dcgan +1$", output, re.MULTILINE), output[-3000:]
    assert re.search(r"^report +1$", output, re.MULTILINE), output[-3000:]


def test_the_environment_is_planned(alone, project):
    output = plans(alone, project, "--sdm", "conda")
    made = re.findall(r"^Conda environment \S*envs/facefill\.yaml will be created", output, re.M)
    assert len(made) == 1, output[-3000:]
