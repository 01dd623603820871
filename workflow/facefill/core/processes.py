"""Processes that end when the one they work for has gone."""

import os
import select
import threading
import time
from contextlib import suppress


def pid_namespace() -> int:
    """What tells apart the numberings of processes: a container may have one of its own."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:  # not Linux
        return 0


def named() -> str:
    """The name of this process for `end_with` in another one."""
    return f"{os.getpid()}@{pid_namespace()}"


def end_with(process: str | int) -> None:
    """End this process as soon as another one has ended, however that came about.

    `process` is what `named` returned there, or its number alone. A Snakemake that was killed
    cannot stop its jobs; a job that went on would write into the results of the next run. Nothing
    is cleaned up here, since that next run may be at work already. In a container that numbers
    processes by itself the other one cannot be seen, and is not waited for.
    """
    pid, _, namespace = str(process).partition("@")
    if namespace and int(namespace) != pid_namespace():
        return
    threading.Thread(target=_watch, args=(int(pid),), daemon=True, name="end_with").start()


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
    end_at_once(f"facefill: process {pid} has ended, and with it this job\n")


def end_at_once(said: str) -> None:
    """End this process and its children without any cleaning up; `said` is its last line."""
    end_children()
    with suppress(OSError):
        os.write(2, said.encode())
    os._exit(1)


def end_children(pid: int | None = None) -> None:
    """End the processes that process `pid` (None = this one) has started, and all of theirs."""
    import psutil

    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
