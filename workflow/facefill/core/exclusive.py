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
from facefill.core.processes import end_at_once, pid_namespace

BEAT = 10.0  # seconds between two dates of a lock
STALE = 90.0  # seconds without a new date after which its holder is taken for dead
POLL = 1.0  # seconds between two looks at a lock of somebody else

log = logging.getLogger("facefill")

Holder = dict[str, str | int | float]


@contextmanager
def exclusive(lock: Path, beat: float = BEAT, stale: float = STALE) -> Iterator[None]:
    """Hold the file `lock` during the block; wait, with one warning, while another process does.

    A holder on this machine counts as dead when its process has gone, any other when it has not
    dated its lock for `stale` seconds. A holder that was taken for dead, since it was stopped for
    long, ends as soon as it notices.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    own = _self()
    told = False
    while not _take(lock, own):
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
    threading.Thread(target=_date, args=(lock, own, beat, ended), daemon=True, name="lock").start()
    try:
        yield
    finally:
        ended.set()
        if _read(lock) == own:
            lock.unlink(missing_ok=True)


def _self() -> Holder:
    """What says who holds a lock. A process may have another number in a container."""
    process = psutil.Process()
    own = {"host": platform.node(), "namespace": pid_namespace()}
    return own | {"pid": process.pid, "started": process.create_time()}


def _take(lock: Path, own: Holder) -> bool:
    try:
        with open(lock, "x", encoding="utf-8") as file:
            json.dump(own, file)
    except FileExistsError:
        return False
    return True


def _read(lock: Path) -> Holder:
    try:
        return dict(json.loads(lock.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # gone, or damaged: its date decides
        return {}


def _is_dead(lock: Path, holder: Holder, stale: float) -> bool:
    own = _self()
    if all(holder.get(key) == own[key] for key in ("host", "namespace")):
        try:
            process = psutil.Process(holder["pid"])
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            if process.create_time() == holder["started"]:
                return False
        except psutil.NoSuchProcess:
            return True
        # Another process of that number, or the clock was set: the date decides.
    # Clocks of nodes and servers differ, so that a file written now is the measure.
    clock = _beside(lock, "clock")
    try:
        clock.touch()
        return clock.stat().st_mtime - lock.stat().st_mtime > stale
    except FileNotFoundError:
        return False  # let go just now
    finally:
        clock.unlink(missing_ok=True)


def _clear(lock: Path, holder: Holder) -> None:
    """Remove the lock of a dead holder, but not that of a process which was faster to do so."""
    dead = _beside(lock, "dead")
    with suppress(FileNotFoundError):
        os.replace(lock, dead)
        if _read(dead) != holder:
            with suppress(OSError):  # a third process holds it: the faster one notices and ends
                os.link(dead, lock)
        dead.unlink()


def _beside(lock: Path, what: str) -> Path:
    return lock.with_name(f"{lock.name}.{own_suffix()}.{what}")


def _date(lock: Path, own: Holder, beat: float, ended: threading.Event) -> None:
    while not ended.wait(beat):
        with suppress(OSError):
            os.utime(lock)
        holder = _read(lock)  # nothing where somebody has deleted the folder: no reason to end
        if holder and holder != own and not ended.is_set():
            said = f"facefill: {lock}: another process has taken this job over, so this one ends\n"
            end_at_once(said)
