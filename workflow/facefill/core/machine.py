"""What the machine grants a job: cores, a GPU. Read while Snakemake parses: imports no PyTorch."""

import math
import os
import platform
from pathlib import Path

CGROUP, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# A thread more pays when it gets this many multiply-accumulates of a step: 40 to 90 ms of work. At
# 2e9 per step (the default dcgan) two threads are slower than one wherever they cannot spin.
PER_THREAD = 8e9
# Half of the cores may share steps as small as this: the other half has jobs of its own.
PER_THREAD_OF_HALF = 0.25e9


def usable_cores() -> int:
    """The cores that this process may use: its affinity and its cgroup's CPU quota, at least 1."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        cores = len(os.sched_getaffinity(0))
    return max(1, min([cores, *map(math.ceil, _quotas())]))


def _quotas() -> list[float]:
    """CPU quotas in cores, of cgroup v2 and v1, of this process's group and those around it."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for _, controllers, group in (line.split(":", 2) for line in lines):
        if controllers == "":
            top, names = CGROUP, ("cpu.max",)
        elif "cpu" in controllers.split(","):
            top, names = CGROUP / "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        else:
            continue
        own = top / group.lstrip("/")
        # Inside a container the path may be the host's: then the mount's top is this container.
        for folder in [own, *own.parents] if own.is_dir() else [top]:
            if not folder.is_relative_to(top):
                break
            try:
                values = " ".join((folder / name).read_text() for name in names).split()
                quota, period = map(int, values)  # "max" is no number, -1 is no limit
            except (OSError, ValueError):
                continue
            if quota > 0 and period > 0:
                quotas.append(quota / period)
    return quotas


def has_gpu(device: str) -> bool:
    """Whether networks of the configuration's `device` may run on a GPU here."""
    if device != "auto":
        return device != "cpu"
    nvidia, amd = Path("/dev/nvidiactl"), Path("/dev/kfd")
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return nvidia.exists() or amd.exists() or apple


def worthwhile_threads(multiplications: float, cores: int) -> int:
    """The threads that steps of so many multiply-accumulates pay for on a machine with `cores`.

    The machine decides, not what a job is granted: sums are rounded by how they are divided among
    threads, and the same machine must give the same bytes.
    """
    small = min(cores // 2, int(multiplications / PER_THREAD_OF_HALF))
    large = min(cores, int(multiplications / PER_THREAD))
    return max(1, small, large)
