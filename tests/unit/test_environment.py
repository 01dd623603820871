"""The conda environment holds what the pip environment holds."""

from pathlib import Path

import yaml

ENVS = Path(__file__).resolve().parents[2] / "envs"


def test_conda_and_pip_agree():
    lines = (ENVS / "requirements.txt").read_text().splitlines()
    pinned = [line.split("#")[0].strip() for line in lines]
    conda = yaml.safe_load((ENVS / "facefill.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == [line for line in pinned if line]
