"""What every script shares: one readable line for an error, a log with the rest, a timing."""

import json
import logging
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facefill.errors import FacefillError

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake as Snakemake


@dataclass
class Work:
    """What a stage got done, for timings.csv."""

    items: int = 0
    unit: str = ""


@contextmanager
def stage(snakemake: "Snakemake") -> Iterator[Work]:
    """Run the block as one job: log to `log.text`, time it to `log.timing`.

    An error ends the script with exit code 1 after one line on the terminal; its traceback goes
    to the log.
    """
    text, timing = Path(snakemake.log.text), Path(snakemake.log.timing)
    logging.captureWarnings(True)
    # A file name that is not UTF-8 must not keep an error out of the log.
    file = logging.FileHandler(text, mode="w", encoding="utf-8", errors="backslashreplace")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("facefill: %(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, terminal])
    # A library's deprecation is for the log, not for the user.
    terminal.addFilter(lambda record: record.name.startswith("facefill"))

    log = logging.getLogger("facefill")
    log.info("rule %s on Python %s", snakemake.rule, platform.python_version())
    for key, value in snakemake.params.items():
        log.info("params.%s = %r", key, value)
    work, start = Work(), time.time()
    try:
        yield work
    except FacefillError as error:
        _fail(file, str(error))
    except KeyboardInterrupt:
        _fail(file, f"interrupted in rule {snakemake.rule}; run again to go on")
    except Exception as error:
        _fail(file, f"{type(error).__name__} in rule {snakemake.rule}: {error}; see {text}")
    end = time.time()
    log.info("done: %d %s in %.1f s", work.items, work.unit, end - start)
    timing.write_text(
        json.dumps(
            {
                "rule": snakemake.rule,
                "start": round(start, 3),
                "end": round(end, 3),
                "items": work.items,
                "unit": work.unit,
            }
        )
        + "\n"
    )


def _fail(file: logging.Handler, message: str) -> None:
    record = logging.LogRecord(
        "facefill", logging.ERROR, __file__, 0, message, None, sys.exc_info()
    )
    file.emit(record)
    print("facefill: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(1)
