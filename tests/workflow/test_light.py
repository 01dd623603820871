"""Snakemake plans without the heavy packages: only the jobs need them.

As in an environment with Snakemake alone, where whoever submits jobs to a cluster may be.
"""

import subprocess
import sys

import pytest

from project import Project

HEAVY = ["PIL", "cv2", "dlib", "matplotlib", "numpy", "pandas", "scipy", "torch"]
# Snakemake loads some of them itself where they are there, and does without where they are not.
DRY_RUN = f"""
import sys
sys.modules.update(dict.fromkeys({HEAVY}))
from snakemake.cli import main
main(["--dry-run"])
"""


@pytest.mark.slow
def test_a_build_is_planned_where_nothing_heavy_is_installed(tmp_path):
    project = Project.new(tmp_path / "project")
    process = subprocess.run(
        [sys.executable, "-c", DRY_RUN], cwd=project.folder, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "train_dcgan" in process.stdout + process.stderr
