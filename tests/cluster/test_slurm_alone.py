"""The Slurm that other tests use behaves as one with GPUs in one partition only."""

import os
import time
from pathlib import Path

import pytest

import slurm

pytestmark = pytest.mark.slow


def test_nothing_is_left_of_it(tmp_path, tmp_path_factory):
    if reason := slurm.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("s") / "s"  # a short path, for sockets
    with slurm.running(folder) as cluster:
        job = cluster.run("sbatch", "--wrap=setsid sleep 4321 & sleep 4321", f"--chdir={tmp_path}")
        assert job.returncode == 0, job.stdout
        end = time.monotonic() + 20
        while "RUNNING" not in cluster.run("squeue", "--format=%T").stdout:
            assert time.monotonic() < end, "the job does not start"
    assert not folder.exists()
    assert not os.path.lexists(slurm.INSTALLED)
    assert not slurm.processes(folder)
    # Ended jobs may leave a process that Slurm did not see start.
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert b"sleep\x004321\x00" not in commands


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm.missing():
        pytest.skip(reason)
    with slurm.running(tmp_path_factory.mktemp("slurm") / "s", cpus=3, memory=5000) as cluster:
        yield cluster


def batch(cluster, folder: Path, *arguments: str) -> str:
    """What a job printed, or sbatch's refusal."""
    output = folder / "output"
    job = cluster.run("sbatch", "--wait", f"--output={output}", *arguments, "--wrap=srun env")
    return output.read_text() if job.returncode == 0 else job.stdout


def test_jobs_run_in_both_partitions(cluster, tmp_path):
    assert "SLURM_JOB_PARTITION=cpu\n" in batch(cluster, tmp_path)
    assert "SLURM_JOB_PARTITION=gpu\n" in batch(cluster, tmp_path, "--partition=gpu")


def test_gpus_are_in_one_partition_only(cluster, tmp_path):
    assert "Requested node configuration is not available" in batch(cluster, tmp_path, "--gpus=1")
    given = batch(cluster, tmp_path, "--gpus=1", "--partition=gpu")
    assert "CUDA_VISIBLE_DEVICES=0\n" in given


@pytest.mark.parametrize(
    ("fits", "too_much"), [("--cpus-per-task=3", "--cpus-per-task=4"), ("--mem=5000", "--mem=5001")]
)
def test_a_node_has_what_it_was_given(cluster, tmp_path, fits, too_much):
    assert "SLURM_JOB_PARTITION=cpu\n" in batch(cluster, tmp_path, fits)
    assert "error: Batch job submission failed" in batch(cluster, tmp_path, too_much)
