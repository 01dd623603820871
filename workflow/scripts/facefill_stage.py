"""What every script shares: one readable line for an error, a log with the rest, a timing.

Scripts import what they need inside of `stage`, so that also a package that is missing or a
Ctrl-C while PyTorch is loaded ends in one line.
"""

import errno
import json
import logging
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facefill.core.cards import take
from facefill.core.errors import FacefillError
from facefill.core.exclusive import exclusive
from facefill.core.files import remove_partials, sha256_path, sha256_text, write_bytes
from facefill.core.kept import Kept
from facefill.core.processes import end_with

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake as Snakemake


@dataclass
class Work:
    """What a stage got done, for timings.csv."""

    items: int = 0
    unit: str = ""
    course: list[tuple[int, float]] = field(default_factory=list)  # steps, and the seconds to them
    seconds: float | None = None  # what the items took; None = the whole job, NaN = unknown


@contextmanager
def stage(snakemake: "Snakemake", keep: bool = False, scratch: str | None = None) -> Iterator[Work]:
    """Run the block as one job: log to `log.text`, time it to `log.timing`.

    With `keep` the result is kept, and the block is left out when a kept one has the same inputs,
    params and code: what an earlier job made anew and came out equal costs nothing here. `scratch`
    is a folder that a job which was killed goes on from; it goes where there is a result. An error
    ends the script with exit code 1 after one line on the terminal; its traceback goes to the log.
    SIGTERM ends it as Ctrl-C does, and the death of Snakemake ends it at once. While another node
    still does the same job, for a head that was killed, this one waits.
    """
    _heed_stops()
    end_with(os.environ.get("FACEFILL_SNAKEMAKE", os.getppid()))
    text, timing = Path(snakemake.log.text), Path(snakemake.log.timing)
    work, log = Work(), None
    try:
        log = _start_log(text)
        log.info("rule %s on Python %s", snakemake.rule, platform.python_version())
        for key, value in snakemake.params.items():
            log.info("params.%s = %r", key, value)
        with _alone(text, scratch):
            os.truncate(text, 0)  # whom this job has waited for wrote there, too
            start = time.time()
            cards = take(snakemake.resources.get("gpu", 0), CARDS)
            log.info("cards: %s", ", ".join(cards) or "none")
            _remove_partials(snakemake, scratch)
            kept, key = Kept(KEPT / text.with_suffix("")), _key(snakemake) if keep else ""
            if (
                keep
                and "FACEFILL_FORCED" not in os.environ
                and kept.restore(key, _files(snakemake))
            ):
                log.info("kept from the last time: inputs, settings and code are the same")
                _discard(scratch)
                raise SystemExit(0)
            yield work
            _require_outputs(snakemake)
            end = time.time()
            log.info("done: %d %s in %.1f s", work.items, work.unit, end - start)
            facts = {"rule": _own_name(snakemake.rule, timing)}
            facts |= {"start": round(start, 3), "end": round(end, 3)} | vars(work)
            write_bytes(timing, json.dumps(facts).encode() + b"\n")
            if keep:
                kept.keep(key, _files(snakemake))
            _discard(scratch)
    except FacefillError as error:
        _fail(log, str(error))
    except KeyboardInterrupt:
        _fail(log, f"interrupted in rule {snakemake.rule}; run again to go on")
    except OSError as error:
        if error.errno not in DISK:
            _fail(log, _unforeseen(snakemake.rule, error, text))
        place = error.filename or Path(snakemake.output[0]).parent
        _fail(log, f"{place}: cannot be written ({error.strerror}); {DISK[error.errno]}")
    except Exception as error:
        _fail(log, _unforeseen(snakemake.rule, error, text))
    finally:
        _ignore_stops()  # all is written: Python, which shuts down, would answer with a traceback


def _own_name(rule: str, timing: Path) -> str:
    """A rule's name here, before which a workflow that imports facefill may have put another."""
    parts = timing.with_suffix("").parts  # .../logs/{dataset}/{rule}[/...]
    own = parts[parts.index("logs") + 2] if "logs" in parts[:-2] else rule
    return own if rule.endswith(own) else rule


@contextmanager
def _alone(text: Path, scratch: str | None) -> Iterator[None]:
    """Hold this job's lock, and that of its checkpoints where nodes share nothing else."""
    with ExitStack() as locks:
        locks.enter_context(exclusive(RUNNING / text.with_suffix(".lock")))
        if scratch and not Path(scratch).is_relative_to("results"):
            locks.enter_context(exclusive(Path(f"{scratch}.lock")))
        yield


KEPT = Path(".snakemake/facefill-kept")  # results of jobs, in folders called after their logs
RUNNING = Path(".snakemake/facefill-running")  # locks of jobs, called likewise
CARDS = Path(tempfile.gettempdir(), f"facefill-cards-{os.getuid()}")  # locks of this machine's GPUs


def _files(snakemake: "Snakemake") -> dict[str, Path]:
    """What a job writes: its outputs, and its timing, which is that of the real work."""
    files = {f"{number}": Path(file) for number, file in enumerate(snakemake.output)}
    return files | {"timing": Path(snakemake.log.timing)}


def _require_outputs(snakemake: "Snakemake") -> None:
    """Fail if an output is not there, so that no result without it is kept.

    Snakemake deletes a job's outputs before it starts it: one that does the same job for another
    head may do so while this one writes its last files.
    """
    for path in snakemake.output:
        if not Path(path).exists():
            raise FacefillError(f"{path}: deleted while this job wrote it; run again to go on")


def _remove_partials(snakemake: "Snakemake", scratch: str | None) -> None:
    """Remove what this job left when it was killed: nobody else does it now."""
    for path in [*snakemake.output, snakemake.log.timing]:
        remove_partials(path)
    for folder in Path(scratch).glob("*") if scratch else ():
        remove_partials(folder / "checkpoint.pt")


def _discard(scratch: str | None) -> None:
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)


def _key(snakemake: "Snakemake") -> str:
    """All that decides a job's result, as a digest: also what triggers no rerun by itself."""
    inputs = [(name, contents(value)) for name, value in snakemake.input.items()]
    return sha256_text(repr([snakemake.rule, inputs, sorted(snakemake.params.items())]))


def contents(files: str | list[str]) -> list[str]:
    """The checksums of an input, which is one file or folder, or several."""
    return [sha256_path(file) for file in ([files] if isinstance(files, str) else files)]


STOP = (signal.SIGINT, signal.SIGTERM)
# What a disk may say, and the remedy.
DISK = {
    errno.ENOSPC: "free space there and run again",
    errno.EDQUOT: "free space there and run again",
    errno.EROFS: "make the disk writable and run again",
    errno.EACCES: "give yourself the right to write there and run again",
    errno.EPERM: "give yourself the right to write there and run again",
    errno.EIO: "the disk reports a fault: check it, then run again",
}


def _start_log(path: Path) -> logging.Logger:
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a full disk must not hide its message behind the log's own
    # A file name that is not UTF-8 must not keep an error out of the log.
    file = logging.FileHandler(path, mode="a", encoding="utf-8", errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("facefill: %(levelname)s: %(message)s"))
    # A library's deprecation is for the log, not for the user.
    terminal.addFilter(lambda record: record.name.startswith("facefill"))
    terminal.addFilter(lambda record: record.levelno < logging.ERROR)  # _fail prints those
    logging.basicConfig(level=logging.INFO, handlers=[file, terminal])
    log = logging.getLogger("facefill")
    # What goes wrong in a library's thread comes up again where its result is asked for.
    threading.excepthook = lambda thread: log.info("in %s: %r", thread.thread, thread.exc_value)
    return log


def _heed_stops() -> None:
    for number in STOP:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _stop_again


def _stop_again(lost: "sys.UnraisableHookArgs") -> None:
    """Stop once more: Python prints and forgets what is raised inside of a destructor."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    _heed_stops()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()


def _ignore_stops() -> None:
    for number in STOP:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: object) -> None:
    _ignore_stops()  # the first one counts: cleaning up is not to be interrupted
    raise KeyboardInterrupt


def _unforeseen(rule: str, error: Exception, log: Path) -> str:
    return f"{type(error).__name__} in rule {rule}: {error}; see {log}"


def _fail(log: logging.Logger | None, message: str) -> None:
    message = " ".join(message.split())
    if log:
        log.error("%s", message, exc_info=True)
    sys.stderr.write(f"facefill: {message}\n")  # at once: jobs side by side write here
    raise SystemExit(1)
