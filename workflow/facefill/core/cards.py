"""Which GPU of this machine a job takes, where it has several and jobs run side by side."""

import fcntl
import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder per card
VISIBLE = "CUDA_VISIBLE_DEVICES"


def cards() -> list[str]:
    """The NVIDIA cards that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if VISIBLE in os.environ:
        return [card for card in os.environ[VISIBLE].split(",") if card]
    return [str(number) for number, _ in enumerate(DRIVER.iterdir() if DRIVER.is_dir() else ())]


def take(count: int, folder: Path) -> list[str]:
    """Choose `count` cards, those that the fewest jobs use, for this process and its children.

    Jobs see each other by locked files in `folder`; a lock goes with its process, however that
    ends. Nothing waits: how many jobs run at a time is Snakemake's matter. Returns the cards; of
    one card or none nothing is chosen.
    """
    if count < 1:
        return []
    present = cards()
    if len(present) < 2:
        return present
    folder.mkdir(parents=True, exist_ok=True)
    taken: list[str] = []
    users = 0
    while len(taken) < min(count, len(present)):
        for card in present:
            if len(taken) < count and card not in taken and _lock(folder / f"{card}-{users}"):
                taken.append(card)
        users += 1  # the cards that are left have more jobs than that
    os.environ[VISIBLE] = ",".join(taken)
    return taken


def _lock(file: Path) -> bool:
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR)  # stays open as long as the process lives
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError:  # the disk has no locks: jobs do not see each other
        os.close(descriptor)
    return True
