"""What a job says when it is stopped before it has begun."""

import os
import subprocess
import sys

from project import ROOT


def start(code: str) -> subprocess.CompletedProcess:
    """Run `code` in a Python that starts as a job's does."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )


def test_an_interrupt_before_the_stage_is_one_line():
    process = start("raise KeyboardInterrupt")
    assert process.returncode != 0
    assert process.stderr == "facefill: interrupted; run again to go on\n"


def test_other_errors_keep_their_traceback():
    assert "ZeroDivisionError" in start("1 / 0").stderr
