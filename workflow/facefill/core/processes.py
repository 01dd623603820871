"""Processes that end when the one they work for has gone."""

import os
import select
import threading
import time
from contextlib import suppress


def end_with(pid: int) -> None:
    """End this process as soon as process `pid` has ended, however that came about.

    A Snakemake that was killed cannot stop its jobs; a job that went on would write into the
    results of the next run. Nothing is cleaned up here, since that next run may be at work already.
    """
    threading.Thread(target=_watch, args=(pid,), daemon=True, name="end_with").start()


def _watch(pid: int) -> None:
    try:
        if hasattr(os, "pidfd_open"):  # Linux
            select.select([os.pidfd_open(pid)], [], [])
        else:
            while True:
                os.kill(pid, 0)  # only asks
                time.sleep(0.5)
    except ProcessLookupError:
        pass
    end_children()
    os._exit(1)


def end_children(pid: int | None = None) -> None:
    """End the processes that process `pid` (None = this one) has started, and all of theirs."""
    import psutil

    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
