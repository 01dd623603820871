"""A training job with several processes: its files, and how it ends when something goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from contract.examples import settings
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.train import launch, weights
from facefill.train.job import Job, carry_out
from project import ROOT
from teams import FACES, UNSEEN

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

OUTPUT = {
    "history": "history.csv",
    "losses": "losses.png",
    "samples": "samples.png",
    "samples_gif": "samples.gif",
    "events": "events",
    "weights": "weights.safetensors",
    "settings": "settings.json",
}
SCRIPT = """
import json, sys
from types import SimpleNamespace
from facefill_stage import stage

log = SimpleNamespace(text="log", timing="timing.json")
facts = {"rule": "train_dcgan", "params": {}, "resources": {}, "output": ["out/x"], "log": log}
with stage(SimpleNamespace(**facts)) as work:
    from facefill.train.job import Job
    from facefill.train.launch import by_team

    work.items, work.unit = by_team(Job(**json.load(open("job.json"))), 2), "images"
"""
MANY = 10_000  # epochs, which nobody waits for


def job_in(folder: Path, kind: str = "dcgan", **changes) -> Job:
    """A training of FACES from and into `folder`."""
    folder.mkdir(exist_ok=True)
    splits = {}
    for name, faces in {"train": FACES, "val": UNSEEN}.items():
        files = str(folder / f"{name}.npy"), str(folder / f"{name}.csv")
        np.save(files[0], faces)
        write_table(files[1], pd.DataFrame({"face": [f"{n}.png" for n in range(len(faces))]}))
        splits[name] = files
    return Job(
        settings=settings("models", kind, **changes),
        train=splits["train"],
        validation=splits["val"],
        models={},
        start=None,
        zoom=1.0,
        seed=0,
        device="cpu",
        threads=2,
        checkpoints=str(folder / "checkpoints"),
        fingerprint="x",
        output={name: str(folder / file) for name, file in OUTPUT.items()},
    )


def test_a_team_leaves_the_files_of_one_process(tmp_path):
    one, two = job_in(tmp_path / "one"), job_in(tmp_path / "two")
    assert launch.by_team(two, 2) == carry_out(one)
    files = {path.name for path in (tmp_path / "one").iterdir()}
    assert {path.name for path in (tmp_path / "two").iterdir()} == files
    texts = [json.loads(Path(job.output["settings"]).read_text()) for job in (one, two)]
    assert texts[1].pop("processes") == 2
    assert texts[1]["threads"] == 1  # each has half of the job's
    assert texts[0] | {"threads": 1} == texts[1]
    assert weights.load_settings(Path(two.output["settings"]), ["processes"])


def test_how_many_processes(tmp_path, monkeypatch):
    job = job_in(tmp_path)
    assert [launch.processes_for(job, gpus, "it") for gpus in (0, 1, 2, 4)] == [1, 1, 2, 4]
    assert launch.processes_for(job_in(tmp_path, "gaussian"), 4, "it") == 1
    with pytest.raises(FacefillError, match=r"models\.it\.batch is 8, which 3 processes cannot"):
        launch.processes_for(job, 3, "it")
    monkeypatch.setattr(launch, "present", lambda device: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert launch.processes_for(job, 2, "it") == 2
    with pytest.raises(FacefillError, match="on 4 GPUs, but PyTorch finds 2 here"):
        launch.processes_for(job, 4, "it")


def started(folder: Path, **changes) -> subprocess.Popen:
    """A job of Snakemake in `folder` that trains by two processes."""
    job = job_in(folder, **changes)
    (folder / "job.json").write_text(json.dumps(vars(job)))
    paths = [ROOT / "workflow", ROOT / "workflow/scripts"]
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "FACEFILL_SNAKEMAKE": str(os.getpid()),
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def at_work(job: subprocess.Popen, folder: Path) -> dict[str, psutil.Process]:
    """The processes of a job that trains, by their ranks."""
    log = folder / "log"
    while "epoch 2:" not in (log.read_text() if log.exists() else ""):
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    members = psutil.Process(job.pid).children(recursive=True)
    return {ranks["RANK"]: one for one in members if "RANK" in (ranks := one.environ())}


def ended(job: subprocess.Popen) -> str:
    """What a job that fails says, beside its progress."""
    said, lines = job.communicate(timeout=60)
    assert (said, job.returncode) == ("", 1)
    return "".join(line for line in lines.splitlines(True) if not line.startswith("training:"))


def gone(processes: dict[str, psutil.Process]) -> bool:
    assert set(processes) == {"0", "1"}
    return not psutil.wait_procs(list(processes.values()), timeout=10)[1]


def test_a_process_that_is_killed_ends_the_job(tmp_path):
    job = started(tmp_path, epochs=MANY)
    members = at_work(job, tmp_path)
    members["1"].kill()
    assert ended(job) == (
        "facefill: process 2 of 2 of this training was ended by SIGKILL, as where "
        "memory runs out; run again to go on from the last epoch, with fewer processes or a "
        "smaller batch if it ends so again\n"
    )
    assert gone(members)
    assert list(tmp_path.rglob("checkpoint.pt"))


def test_a_stopped_job_ends_its_processes(tmp_path):
    job = started(tmp_path, epochs=MANY)
    members = at_work(job, tmp_path)
    job.send_signal(signal.SIGTERM)
    assert ended(job) == "facefill: interrupted in rule train_dcgan; run again to go on\n"
    assert gone(members)


def test_a_killed_job_ends_its_processes(tmp_path):
    job = started(tmp_path, epochs=MANY)
    members = at_work(job, tmp_path)
    job.kill()
    assert gone(members)
    job.communicate()


def test_losses_that_are_no_numbers_end_the_job_with_one_line(tmp_path):
    job = started(tmp_path, generator_lr=1e30, discriminator_lr=1e30)
    assert ended(job) == (
        "facefill: the losses are no longer numbers after epoch 1; lower the model's learning "
        "rates or set precision: float32\n"
    )
    written = (tmp_path / "log").read_text()
    assert " INFO training on cpu, " in written  # by a process, after the job's first lines
    assert "Traceback" in written


def test_an_error_of_the_disk_has_its_remedy(tmp_path):
    (tmp_path / "checkpoints").write_text("a file in the place of a folder")
    said = ended(started(tmp_path))
    assert said.count("\n") == 1 and str(tmp_path / "checkpoints") in said
