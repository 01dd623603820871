"""How a job ends: with one line and exit code 1 whatever happens, and with its Snakemake."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from project import ROOT

JOB = """
import errno, logging, os, time
from pathlib import Path
from types import SimpleNamespace
from facefill_stage import stage

log = SimpleNamespace(text="log", timing="timing.json")
job = {"rule": "align", "params": {}, "output": ["out/x"], "resources": {}, "log": log}
os.makedirs("out", exist_ok=True)
Path("out/x").touch()
with stage(SimpleNamespace(**job)) as work:
"""


def started(folder: Path, body: str, snakemake: int | None = None) -> subprocess.Popen:
    """A job that does `body` in `folder`, for the Snakemake with that number."""
    paths = [ROOT / "workflow", ROOT / "workflow/scripts"]
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "FACEFILL_SNAKEMAKE": str(snakemake or os.getpid()),
    }
    return subprocess.Popen(
        [sys.executable, "-c", JOB + textwrap.indent(textwrap.dedent(body), "    ")],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(folder: Path, body: str) -> tuple[int, str]:
    """The exit code of such a job, and what it said on the terminal."""
    job = started(folder, body)
    _, said = job.communicate(timeout=60)
    return job.returncode, said


def test_a_job_that_ends_well_says_nothing_and_notes_its_time(tmp_path):
    assert ended(tmp_path, 'work.items, work.unit = 3, "photos"') == (0, "")
    assert '"items": 3, "unit": "photos"' in (tmp_path / "timing.json").read_text()


def test_an_unforeseen_error_is_one_line_and_its_traceback_in_the_log(tmp_path):
    said = "facefill: ValueError in rule align: two lines; see log\n"
    assert ended(tmp_path, r'raise ValueError("two\nlines")') == (1, said)
    assert "Traceback (most recent call last)" in (tmp_path / "log").read_text()
    assert not (tmp_path / "timing.json").exists()


def test_an_output_that_another_process_deleted_is_an_error(tmp_path):
    said = "facefill: out/x: deleted while this job wrote it; run again to go on\n"
    assert ended(tmp_path, 'Path("out/x").unlink()') == (1, said)
    assert not (tmp_path / "timing.json").exists()


def test_a_full_disk_has_its_remedy(tmp_path):
    body = 'raise OSError(errno.ENOSPC, "No space left on device", "out/a.png")'
    said = (
        "facefill: out/a.png: cannot be written (No space left on device); free space there and "
        "run again\n"
    )
    assert ended(tmp_path, body) == (1, said)


def test_what_a_name_holds_cannot_command_the_terminal(tmp_path):
    body = r"""
    from facefill.core.errors import FacefillError

    raise FacefillError("a\x1b[31m\n\udcffb.jpg: no photo")
    """
    assert ended(tmp_path, body) == (1, "facefill: a\\x1b[31m \\udcffb.jpg: no photo\n")


def test_warnings_of_libraries_are_for_the_log_alone(tmp_path):
    body = """
    logging.getLogger("library").warning("use something else")
    logging.getLogger("facefill.align").warning("many photos were set aside")
    """
    assert ended(tmp_path, body) == (0, "facefill: WARNING: many photos were set aside\n")
    assert "use something else" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_one_line_and_a_second_one_disturbs_nothing(tmp_path, number):
    body = """
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(0.3)
        print("clean", flush=True)
    """
    job = started(tmp_path, body)
    try:
        for word in ("ready", "cleaning"):
            assert job.stdout.readline() == f"{word}\n"
            job.send_signal(number)
        out, said = job.communicate(timeout=30)
    finally:
        job.kill()
    assert out == "clean\n"
    assert said == "facefill: interrupted in rule align; run again to go on\n"
    assert job.returncode == 1


def test_a_signal_inside_of_a_destructor_is_not_lost(tmp_path):
    body = """
    class Slow:
        def __del__(self):
            print("ready", flush=True)
            time.sleep(60)

    Slow()
    time.sleep(60)
    """
    job = started(tmp_path, body)
    try:
        assert job.stdout.readline() == "ready\n"
        job.send_signal(signal.SIGINT)
        _, said = job.communicate(timeout=30)
    finally:
        job.kill()
    assert said == "facefill: interrupted in rule align; run again to go on\n"
    assert job.returncode == 1


def test_a_job_ends_with_its_snakemake(tmp_path):
    """However that one ends: a job that went on would write into the results of the next run."""
    snakemake = subprocess.Popen(["sleep", "60"])
    job = started(tmp_path, 'print("ready", flush=True); time.sleep(60)', snakemake.pid)
    try:
        assert job.stdout.readline() == "ready\n"
        assert job.poll() is None
        snakemake.kill()
        snakemake.wait()
        _, said = job.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        pytest.fail("the job goes on")
    finally:
        job.kill()
        snakemake.kill()
    assert said == f"facefill: process {snakemake.pid} has ended, and with it this job\n"


def test_a_job_waits_for_the_same_job_of_another_head(tmp_path):
    """A head that was killed leaves its jobs on other nodes; the next one starts them again."""
    first = started(tmp_path, 'print("ready", flush=True); time.sleep(60)')
    assert first.stdout.readline() == "ready\n"
    left = tmp_path / "out" / ".x.node-1.partial"
    left.touch()
    second = started(tmp_path, 'print("ready", flush=True)')
    try:
        waited = second.stderr.readline()
        assert f"process {first.pid} on " in waited and "waiting until it has ended" in waited
        assert second.poll() is None and left.exists()
    finally:
        first.kill()
        first.wait()
    assert second.communicate(timeout=30)[0] == "ready\n" and second.returncode == 0
    assert not left.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_end_changes_nothing(tmp_path, number):
    """All is written: Python, which shuts down, would answer with a traceback."""
    body = """
    import atexit
    atexit.register(lambda: (print("ending", flush=True), time.sleep(1)))
    """
    job = started(tmp_path, body)
    assert job.stdout.readline() == "ending\n"
    job.send_signal(number)
    assert job.communicate(timeout=60) == ("", "") and job.returncode == 0
