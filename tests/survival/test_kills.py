"""Killed anywhere, run again, the same end: `make survival` kills every stage 12 times.

Here is one kill for each way in which results are written.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from digests import differences, digests
from kills import STAGES, build_reference, kill, leftovers, processes_of, slow_server
from project import Project

pytestmark = pytest.mark.slow

# By several processes, over the network, into a zip, a folder beside files, with checkpoints,
# from a search, and many files at the end.
KILLED = ("render", "download", "align", "flatten", "train_dcgan", "complete_latent", "report")


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Project:
    home = tmp_path_factory.mktemp("kills")
    served = home / "served"
    served.mkdir()
    with slow_server(served) as address:
        yield build_reference(home / "reference", address, served)


@pytest.mark.parametrize("stage", KILLED)
def test_a_killed_stage_ends_as_if_nothing_had_happened(reference, tmp_path, stage):
    assert kill(reference, tmp_path / "project", stage, seed=0).faults == []


def start(project: Project, *targets: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *targets],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def longest_job(project: Project) -> float:
    """Seconds of the job that took longest when nobody killed it."""
    jobs = [
        json.loads(file.read_text())
        for file in (project.folder / "results").rglob("logs/**/*.json")
    ]
    return max(job["end"] - job["start"] for job in jobs)


def test_a_build_that_is_killed_again_and_again(reference, tmp_path):
    """From nothing, with SIGKILL again and again, whatever is at work by then."""
    project = Project.new(tmp_path / "project")
    project.configure(**reference.config())
    moments = random.Random(0)
    kills, longest = 0, longest_job(reference)
    while True:
        process = start(project)
        try:
            # The first waits are short, so that something is killed. Later ones grow: however busy
            # the machine is by now, every job gets done in the end.
            share = moments.uniform(0.4, 1.6) * 1.1**kills if kills >= 2 else 0.3
            process.wait(share * longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            project.build("--unlock")
            kills += 1
            assert kills < 40
        else:
            break
    assert process.returncode == 0
    assert kills >= 2
    shutil.copytree(reference.folder / "results/synthetic", project.folder / "results/synthetic")
    one, two = (digests(folder / "results") for folder in (project.folder, reference.folder))
    assert differences(one, two) == []
    assert leftovers(project.folder) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["render", "train_dcgan"])
def test_a_signal_to_snakemake_alone_ends_its_job(reference, tmp_path, stage, number):
    """An orphan would write into the results of the next run; `render` has workers of its own."""
    project = reference.copy(tmp_path / "project")
    project.configure(models={"dcgan": {"epochs": 1000}}, datasets={"synthetic": {"faces": 1000}})
    process = start(project, *STAGES[stage])
    while len(processes_of(process.pid)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(3)  # by then, render has its workers
    assert process.poll() is None
    process.send_signal(number)
    process.wait(30)
    until = time.monotonic() + 10
    while processes_of(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of(process.pid) == []
    assert number == signal.SIGKILL or not list((project.folder / ".snakemake/locks").glob("*"))
