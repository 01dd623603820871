"""Trainings by several processes, for tests: `python -m torch.distributed.run teams.py FOLDER`."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import trainings
from facefill.train import team
from facefill.train.loop import TrainingLoop
from holes import smooth_faces

FACES, UNSEEN = smooth_faces(28, 32)[:24], smooth_faces(28, 32)[24:]


@dataclass
class Case:
    """A training of FACES in a folder of its own."""

    kind: str
    changes: dict[str, Any]  # of its example
    double: bool = False  # computes in float64, which shows more of what is no rounding
    last: int | None = None  # the epoch after whose checkpoint it dies


class Died(Exception):
    """A training that a test has ended."""


def train(folder: Path, case: Case) -> dict[str, Any] | None:
    """Train; returns weights, history, facts and images. None when it has died."""
    float_before, default = torch.Tensor.float, torch.get_default_dtype()
    record = TrainingLoop._record

    def record_or_die(loop, means):
        if loop.epoch - 1 == case.last:
            raise Died
        record(loop, means)

    try:
        if case.double:
            torch.Tensor.float = torch.Tensor.double
            torch.set_default_dtype(torch.float64)
        with patch.object(TrainingLoop, "_record", record_or_die):
            trained = trainings.fit(case.kind, FACES, UNSEEN, folder, **case.changes)
    except Died:
        return None
    finally:
        torch.Tensor.float = float_before
        torch.set_default_dtype(default)
    weights = {
        f"{name}.{key}": value
        for name, network in trained.networks.items()
        for key, value in network.state_dict().items()
    }
    history = trained.history.to_dict("list")
    return {
        "weights": weights,
        "history": history,
        "facts": trained.facts,
        "images": trained.images,
    }


def together(folder: Path, cases: dict[str, Case]) -> dict[str, dict[str, Any] | None]:
    """Train by two processes, each case in a folder called after it; returns as `train` does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases").write_bytes(pickle.dumps(cases))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc_per_node=2", __file__, str(folder)]
    paths = os.pathsep.join(filter(None, sys.path))  # pytest's
    subprocess.run(launcher, check=True, timeout=300, env=os.environ | {"PYTHONPATH": paths})
    return torch.load(folder / "results", weights_only=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    team.join("cpu")
    folder = Path(sys.argv[1])
    sys.modules["teams"] = sys.modules["__main__"]  # for pickle
    cases = pickle.loads((folder / "cases").read_bytes())
    results = {name: train(folder / name, case) for name, case in cases.items()}
    if team.rank() == 0:
        torch.save(results, folder / "results")
    team.leave()
