"""One process at a time does a job, whoever started it, and the dead do not keep it."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from facefill.core.exclusive import _clear, _self, exclusive
from facefill.core.processes import end_with, named, pid_namespace
from project import ROOT

HOLD = """
import sys, time
from pathlib import Path
from facefill.core.exclusive import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "running" / "align.lock"


def holder(lock):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, lock],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    return process


def held_elsewhere(lock, age: float):
    """A lock of another node, dated `age` seconds ago."""
    lock.parent.mkdir()
    lock.write_text(json.dumps(_self() | {"host": "node7", "pid": 1}))
    os.utime(lock, (time.time() - age,) * 2)


def waits(lock, seconds: float = 0.5, **times) -> bool:
    """Whether somebody who wants the lock has to wait so long; gets it when it is let go."""
    got = threading.Event()

    def want():
        with exclusive(lock, **times):
            got.set()

    thread = threading.Thread(target=want, daemon=True)
    thread.start()
    waited = not got.wait(seconds)
    with suppress(FileNotFoundError):
        lock.unlink()
    assert got.wait(10)
    thread.join()
    return waited


def test_is_held_during_the_block_alone(lock):
    with exclusive(lock):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists() and os.listdir(lock.parent) == []


def test_waits_for_another_process_and_says_so(lock, caplog):
    process = holder(lock)
    try:
        assert waits(lock)
        assert f"process {process.pid} on " in caplog.text
        assert caplog.text.count("waiting until it has ended") == 1
    finally:
        process.kill()
        process.wait()


def test_does_not_wait_for_a_process_that_was_killed(lock):
    process = holder(lock)
    process.kill()
    process.wait()
    assert lock.exists()
    assert not waits(lock, 5)


def test_the_next_process_of_the_same_number_is_not_the_holder(lock):
    """Its start is another one, as after a clock was set: so the date decides."""
    lock.parent.mkdir()
    lock.write_text(json.dumps(_self() | {"started": 1.0}))
    assert waits(lock, stale=30)
    lock.write_text(json.dumps(_self() | {"started": 1.0}))
    os.utime(lock, (time.time() - 60,) * 2)
    assert not waits(lock, 5, stale=30)


def test_a_process_that_nobody_has_waited_for_is_not_the_holder(lock):
    """In a container there may be nobody to reap the dead."""
    process = holder(lock)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not waits(lock, 5)
    process.wait()


def test_a_holder_that_was_taken_for_dead_ends(lock):
    """It was stopped for long; two must not write the same files."""
    held = HOLD.replace("exclusive(Path(sys.argv[1]))", "exclusive(Path(sys.argv[1]), beat=0.05)")
    process = subprocess.Popen(
        [sys.executable, "-c", held, lock],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    lock.write_text(json.dumps(_self() | {"host": "node7"}))
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert said.decode() == (
        f"facefill: {lock}: another process has taken this job over, so this one ends\n"
    )
    assert json.loads(lock.read_text())["host"] == "node7"


def test_waits_for_another_node_as_long_as_it_dates_its_lock(lock):
    held_elsewhere(lock, age=1)
    assert waits(lock, stale=30)


def test_a_node_that_went_away_is_not_waited_for(lock):
    held_elsewhere(lock, age=60)
    assert not waits(lock, 5, stale=30)


def test_a_holder_dates_its_lock(lock):
    with exclusive(lock, beat=0.05):
        os.utime(lock, (0, 0))
        time.sleep(0.5)
        assert time.time() - lock.stat().st_mtime < 30


def test_a_lock_taken_meanwhile_is_not_cleared(lock):
    """Of two who find a dead holder, the slower must not clear the lock of the faster."""
    held_elsewhere(lock, age=0)
    dead = _self() | {"host": "node6"}
    _clear(lock, dead)
    assert json.loads(lock.read_text())["host"] == "node7"
    assert os.listdir(lock.parent) == [lock.name]


def _take(lock, log):
    with exclusive(lock):
        with open(log, "a") as file:
            file.write("(")
        time.sleep(0.01)
        with open(log, "a") as file:
            file.write(")")


def test_several_take_turns(lock, tmp_path, monkeypatch):
    monkeypatch.setattr("facefill.core.exclusive.POLL", 0.01)
    context = multiprocessing.get_context("fork")
    several = [context.Process(target=_take, args=(lock, tmp_path / "log")) for _ in range(6)]
    for process in several:
        process.start()
    for process in several:
        process.join(30)
    assert (tmp_path / "log").read_text() == "()" * 6


def test_a_process_of_another_numbering_is_not_waited_for():
    """In a container Snakemake's number is nobody's: the job must not end at once, mute."""
    pid, _, namespace = named().partition("@")
    assert (int(pid), int(namespace)) == (os.getpid(), pid_namespace())
    before = threading.active_count()
    end_with(f"{2**22 - 1}@{pid_namespace() + 1}")
    assert threading.active_count() == before
