"""Jobs side by side take other cards of a machine with several."""

import os
import subprocess
import sys

import pytest

from facefill.core import cards
from project import ROOT

JOB = """
import sys
from pathlib import Path
from facefill.core.cards import take
take(int(sys.argv[1]), Path(sys.argv[2]))
import os
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path):
    """Start a job that takes so many cards of four; it has them until it is ended."""
    jobs = []

    def start(count: int, present: str = "4,5,6,7"):
        jobs.append(
            subprocess.Popen(
                [sys.executable, "-c", JOB, str(count), tmp_path / "cards"],
                env=os.environ
                | {"PYTHONPATH": str(ROOT / "workflow"), "CUDA_VISIBLE_DEVICES": present},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return jobs[-1].stdout.readline().strip()

    yield start, jobs
    for process in jobs:
        process.kill()
        process.communicate()


def test_each_job_takes_a_card_of_its_own_until_all_are_taken(job):
    start, _ = job
    assert [start(1) for _ in range(4)] == ["4", "5", "6", "7"]
    assert [start(1) for _ in range(2)] == ["4", "5"]  # more slots than cards: they share


def test_a_training_on_several_cards_takes_free_ones(job):
    start, _ = job
    assert [start(1), start(2), start(1)] == ["4", "5,6", "7"]


def test_a_job_that_was_killed_gives_its_card_back(job):
    start, jobs = job
    assert start(1) == "4" and start(1) == "5"
    jobs[0].kill()
    jobs[0].wait()
    assert start(1) == "4"


def test_no_more_cards_than_there_are(job):
    start, _ = job
    assert start(9) == "4,5,6,7"


def test_one_card_or_none_is_left_as_it_is(job):
    start, _ = job
    assert [start(1, "6"), start(1, "6"), start(1, "")] == ["6", "6", ""]


def test_cards_of_the_driver_are_counted(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(cards, "DRIVER", tmp_path / "gpus")
    assert cards.cards() == []
    for bus in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
    assert cards.cards() == ["0", "1"]
