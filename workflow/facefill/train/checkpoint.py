"""Checkpoints of a training: one file in a folder that belongs to this very training.

Another machine, or another number of processes, takes a checkpoint up, too, and says so: there the
rest is computed in another arithmetic, so that the result is not byte for byte that of one machine.
"""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from facefill.core.device import Compute
from facefill.core.files import write_bytes
from facefill.train import team
from facefill.train.task import Training

log = logging.getLogger("facefill.train")


def checkpoint_file(training: Training, settings: object) -> Path:
    """The file of a training's state, in a folder named by what is trained on what."""
    key = [settings, training.seed, training.zoom, training.fingerprint]
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).hexdigest()
    return training.checkpoints / digest[:16] / "checkpoint.pt"


def machine(compute: Compute) -> list[str]:
    """What decides how sums are rounded, in words."""
    threads, processes = torch.get_num_threads(), team.size()
    device, *arithmetic = compute.words()
    if compute.device.type == "cpu":
        device += f" ({torch.backends.cpu.get_cpu_capability()})"
    return [
        device,
        *arithmetic,
        f"{threads} thread{'s' * (threads > 1)}",
        f"{processes} process{'es' * (processes > 1)}",
        f"PyTorch {torch.__version__}",
    ]


def save(file: Path, state: dict[str, Any]) -> None:
    """Write `state`, of tensors and plain values."""
    data = io.BytesIO()  # torch.save hides the errors of the disk
    torch.save(state, data)
    write_bytes(file, data.getbuffer())


def load(file: Path) -> dict[str, Any]:
    """What `save` has written, on the CPU: networks and optimisers copy their parts from there."""
    return torch.load(file, map_location="cpu", weights_only=True)


def resume(file: Path, loop: Any) -> bool:
    """Load the state in `file` into a TrainingLoop; rename a damaged file and return False.

    After that `loop` may be half loaded: begin a new one. Says what differs from the machine that
    has written the file, and adds it to `loop.changes`.
    """
    try:
        state = load(file)
        loop.load_state(state)
        change = _change(state["machine"], machine(loop.compute))
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
    if change:
        where = f"arithmetic changed after epoch {loop.epoch}: {change}"
        said = f"{where}; the result is not byte for byte that of one machine"
        loop.changes = [*loop.changes, said]
        log.warning("%s", loop.changes[-1])
    return True


def _change(before: list[str], now: list[str]) -> str:
    """What differs, as "before -> now"; empty where nothing does."""
    pairs = [pair for pair in zip(before, now, strict=True) if len(set(pair)) > 1]
    return " -> ".join(", ".join(words) for words in zip(*pairs, strict=True))
