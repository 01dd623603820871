"""Checkpoints of a training: one file in a folder that belongs to this very training."""

import hashlib
import io
import logging
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch

from facefill.core.device import Compute
from facefill.core.files import write_bytes

log = logging.getLogger("facefill.train")


class Resumable(Protocol):
    """A training in progress."""

    epoch: int

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


def checkpoint_file(
    workdir: Path, settings: object, seed: int, compute: Compute, *parts: str
) -> Path:
    """Where a training of `workdir` keeps its state: named by all that determines the result.

    Beside the arguments that is PyTorch's version and its number of threads; `parts` are
    fingerprints of data and code.
    """
    key = [settings, seed, compute, torch.get_num_threads(), torch.__version__, *parts]
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).hexdigest()
    return workdir / digest[:16] / "checkpoint.pt"


def save(file: Path, state: dict[str, Any]) -> None:
    """Write `state`, of tensors and plain values."""
    data = io.BytesIO()  # torch.save hides what the disk says
    torch.save(state, data)
    write_bytes(file, data.getbuffer())


def resume(file: Path, run: Resumable) -> bool:
    """Let `run` take up the state in `file`; set a damaged one aside and return False.

    What a damaged state has spoilt of `run` stays spoilt: make a new one.
    """
    try:
        # Onto the CPU: networks and optimisers copy what is theirs to where they are.
        run.take_up(torch.load(file, map_location="cpu", weights_only=True))
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise  # says nothing about the file
    except Exception as error:  # torch.load raises many types on damaged files
        if "allocate memory" in str(error):  # on a CPU PyTorch has no type of its own for it
            raise
        reason = " ".join(str(error).split())[:200]
        log.warning("the checkpoint %s is damaged (%s); training anew", file, reason)
        file.replace(file.with_suffix(".damaged"))
        return False
    log.warning("training goes on after epoch %d from %s", run.epoch, file)
    return True


def discard(workdir: Path) -> None:
    """Remove a model's checkpoints once its results are in place."""
    shutil.rmtree(workdir, ignore_errors=True)
