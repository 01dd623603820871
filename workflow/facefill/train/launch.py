"""A training by several processes of this machine, started and watched by torchrun's agent."""

import json
import logging
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from facefill.core.device import present
from facefill.core.errors import FacefillError
from facefill.train.job import Job

MODULES = Path(__file__).resolve().parents[2]


def processes_for(job: Job, gpus: int, name: str) -> int:
    """How many processes train a model called `name` that is granted so many GPUs.

    One each, on a machine without GPUs, too; but one alone for a kind without batches to share.
    Raises FacefillError where batches do not divide among them or there are fewer GPUs.
    """
    model, device = job.model(), present(job.device)
    if gpus < 2 or not hasattr(model, "batch"):
        return 1
    key, cards = f"models.{name}", torch.cuda.device_count() if device == "cuda" else 1
    if device != "cpu" and gpus > cards:
        raise FacefillError(
            f"config: {key} is to be trained on {gpus} GPUs, but PyTorch finds {cards} here; set "
            f"the resource gpu of its rule to {cards}"
        )
    model.check_team(key, gpus)
    return gpus


def by_team(job: Job, processes: int) -> int:
    """Carry `job` out by several processes; returns as `carry_out` does.

    Raises what ended the first of them that failed; the others are ended. They log to the files
    that this process logs to, and end with it.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    keep_from_terminal()
    given = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(MODULES), given]))
    with tempfile.TemporaryDirectory() as folder:
        told = {"job": asdict(job), "parent": os.getpid(), "logs": _shared_logs()}
        Path(folder, "told.json").write_text(json.dumps(told), encoding="utf-8")
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=f"facefill-{os.getpid()}",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,  # Snakemake restarts jobs
            signals_to_handle="SIGHUP",  # the others are the job's own
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-m", "facefill.train.member", folder)
        except ChildFailedError as error:
            raise _cause(error.failures, processes) from None
        except SignalException as error:
            raise KeyboardInterrupt from error
        return json.loads(Path(folder, "images.json").read_text())


def keep_from_terminal() -> None:
    """Let torch.distributed log where this process does; by itself it prints."""
    log = logging.getLogger("torch.distributed")
    log.handlers, log.propagate = logging.getLogger().handlers, False


def _shared_logs() -> list[str]:
    """The log files of this process, which adds to what others write there."""
    handlers = logging.getLogger().handlers
    return [each.baseFilename for each in handlers if isinstance(each, logging.FileHandler)]


def _cause(failures: dict[int, Any], processes: int) -> Exception:
    """What went wrong first: an end by a signal, or else the first error that was noted.

    `failures` are torch's ProcessFailure by rank. The agent ends by SIGTERM those that are left.
    """
    for rank, failure in sorted(failures.items()):
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            return FacefillError(
                f"process {rank + 1} of {processes} of this training was ended by "
                f"{failure.signal_name()}, as where memory runs out; run again to go on from the "
                "last epoch, with fewer processes or a smaller batch if it ends so again"
            )
    noted = [failure.error_file_data for failure in failures.values()]
    noted = sorted((data for data in noted if "time" in data), key=lambda data: data["time"])
    if not noted:
        codes = ", ".join(str(failure.exitcode) for failure in failures.values())
        return RuntimeError(f"processes of the training ended with the exit codes {codes}")
    first = noted[0]
    if first["kind"] == "FacefillError":
        return FacefillError(first["message"])
    if first["errno"] is not None:
        return OSError(first["errno"], first["strerror"], first["filename"])
    return RuntimeError(f"{first['kind']}: {first['message']}")
