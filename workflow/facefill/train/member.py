"""One process of a team: `python -m facefill.train.member FOLDER`, started by launch.py."""

import json
import logging
import os
import sys
import time
from pathlib import Path

from facefill.core.device import present
from facefill.core.processes import end_with
from facefill.train import team
from facefill.train.job import Job, carry_out
from facefill.train.launch import keep_from_terminal

log = logging.getLogger("facefill.train")


def main(folder: Path) -> None:
    """Carry out the job in `folder`; rank 0 leaves the number of images there.

    What goes wrong is noted in the file that torchrun names, and ends the process at once: the
    others, which wait for it, are ended by torchrun.
    """
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    end_with(told["parent"])
    _start_logs(told["logs"])
    try:
        job = Job(**told["job"])
        team.join(present(job.device))
        images = carry_out(job)
        if team.rank() == 0:
            (folder / "images.json").write_text(json.dumps(images))
        team.leave()
    except Exception as error:
        log.exception("in process %s of the training", os.environ["RANK"])
        Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(_noted(error)))
        os._exit(1)


def _start_logs(files: list[str]) -> None:
    """Log as the job does, which prints errors itself; of other ranks, log errors alone."""
    first = os.environ["RANK"] == "0"
    logging.captureWarnings(True)
    handlers: list[logging.Handler] = []
    for file in files:
        handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(handler)
    if first:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setFormatter(logging.Formatter("facefill: %(levelname)s: %(message)s"))
        terminal.addFilter(lambda record: record.name.startswith("facefill"))
        terminal.addFilter(lambda record: record.levelno == logging.WARNING)
        handlers.append(terminal)
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # rank 0 shows progress
    logging.basicConfig(level=logging.INFO if first else logging.ERROR, handlers=handlers)
    keep_from_terminal()


def _noted(error: Exception) -> dict[str, object]:
    """An error as torchrun reads it, and as launch.py does."""
    return {
        "message": str(error),
        "timestamp": int(time.time()),
        "time": time.time(),
        "kind": type(error).__name__,
        "errno": getattr(error, "errno", None),
        "strerror": getattr(error, "strerror", None),
        "filename": getattr(error, "filename", None),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
