"""Checkpoints of a training: one file in a folder that belongs to this very training."""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from facefill.core.device import Compute
from facefill.core.files import write_bytes
from facefill.train.task import Training

log = logging.getLogger("facefill.train")


def checkpoint_file(training: Training, settings: object, compute: Compute) -> Path:
    """The file of a training's state, in a folder named by all that determines the result.

    That is, beside the arguments, PyTorch's version and its number of threads.
    """
    key = [settings, training.seed, compute, torch.get_num_threads(), torch.__version__]
    key += [training.zoom, training.fingerprint]
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).hexdigest()
    return training.checkpoints / digest[:16] / "checkpoint.pt"


def save(file: Path, state: dict[str, Any]) -> None:
    """Write `state`, of tensors and plain values."""
    data = io.BytesIO()  # torch.save hides the errors of the disk
    torch.save(state, data)
    write_bytes(file, data.getbuffer())


def resume(file: Path, loop: Any) -> bool:
    """Load the state in `file` into a TrainingLoop; rename a damaged file and return False.

    After that `loop` may be half loaded: begin a new one.
    """
    try:
        # Onto the CPU: networks and optimisers copy their parts to their own device.
        loop.load_state(torch.load(file, map_location="cpu", weights_only=True))
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise  # says nothing about the file
    except Exception as error:  # torch.load raises many types on damaged files
        if "allocate memory" in str(error):  # on a CPU PyTorch has no type of its own for it
            raise
        reason = " ".join(str(error).split())[:200]
        log.warning("the checkpoint %s is damaged (%s); training anew", file, reason)
        file.replace(file.with_suffix(".damaged"))
        return False
    log.warning("training goes on after epoch %d from %s", loop.epoch, file)
    return True
