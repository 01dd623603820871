"""What a job says when it is stopped before it has begun."""

import os
import subprocess
import sys

from project import ROOT


def test_an_interrupt_before_the_stage_is_one_line():
    process = subprocess.run(
        [sys.executable, "-c", "raise KeyboardInterrupt"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )
    assert process.returncode != 0
    assert process.stderr == "facefill: interrupted; run again to go on\n"


def test_other_errors_keep_their_traceback():
    process = subprocess.run(
        [sys.executable, "-c", "1 / 0"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )
    assert "ZeroDivisionError" in process.stderr
