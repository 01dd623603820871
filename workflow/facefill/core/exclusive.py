"""One process at a time does a job, on whatever node of a cluster.

A head that was killed leaves jobs running on other nodes, and the next head starts them again. Both
would write the same files. Locks of the operating system do not reach across every network file
system; so the holder of a lock file dates it anew every few seconds.
"""

import json
import logging
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from facefill.core.files import own_suffix
from facefill.core.processes import pid_namespace

BEAT = 10.0  # seconds between two dates of a lock
STALE = 90.0  # seconds without a new date after which its holder is taken for dead
POLL = 1.0  # seconds between two looks at a lock of somebody else

log = logging.getLogger("facefill")


@contextmanager
def exclusive(lock: Path, beat: float = BEAT, stale: float = STALE) -> Iterator[None]:
    """Hold the file `lock` during the block; wait, with one warning, while another process does.

    A holder on this machine counts as dead when its process has gone, one elsewhere when it has
    not dated its lock for `stale` seconds.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while not _take(lock):
        holder = _read(lock)
        if _is_dead(lock, holder, stale):
            _clear(lock, holder)
        else:
            if not told:
                log.warning(
                    "process %s on %s does the same job (%s); waiting until it has ended",
                    *(holder.get("pid", "?"), holder.get("host", "?"), lock),
                )
            told = True
            time.sleep(POLL)
    ended = threading.Event()
    threading.Thread(target=_date, args=(lock, beat, ended), daemon=True, name="lock").start()
    try:
        yield
    finally:
        ended.set()
        if _read(lock) == _self():  # else somebody took this process, which was stopped, for dead
            lock.unlink(missing_ok=True)


def _self() -> dict[str, str | int | float]:
    """What says who holds a lock. A process may have another number in a container."""
    process = psutil.Process()
    own = {"host": platform.node(), "namespace": pid_namespace()}
    return own | {"pid": process.pid, "started": process.create_time()}


def _take(lock: Path) -> bool:
    try:
        with open(lock, "x", encoding="utf-8") as file:
            json.dump(_self(), file)
    except FileExistsError:
        return False
    return True


def _read(lock: Path) -> dict:
    try:
        return dict(json.loads(lock.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # gone, or damaged: its date decides
        return {}


def _is_dead(lock: Path, holder: dict, stale: float) -> bool:
    own = _self()
    if all(holder.get(key) == own[key] for key in ("host", "namespace")):
        try:
            return psutil.Process(holder["pid"]).create_time() != holder["started"]
        except psutil.NoSuchProcess:
            return True
    # Compared with the date of a file written now: clocks of nodes and servers differ.
    clock = _beside(lock, "clock")
    try:
        clock.touch()
        return clock.stat().st_mtime - lock.stat().st_mtime > stale
    except FileNotFoundError:
        return False  # let go just now
    finally:
        clock.unlink(missing_ok=True)


def _clear(lock: Path, holder: dict) -> None:
    """Remove the lock of a dead holder, but not that of a process which was faster to do so."""
    dead = _beside(lock, "dead")
    with suppress(FileNotFoundError):
        os.replace(lock, dead)
        if _read(dead) == holder:
            dead.unlink()
        else:
            os.replace(dead, lock)


def _beside(lock: Path, what: str) -> Path:
    return lock.with_name(f"{lock.name}.{own_suffix()}.{what}")


def _date(lock: Path, beat: float, ended: threading.Event) -> None:
    while not ended.wait(beat):
        with suppress(OSError):
            os.utime(lock)
