"""A Slurm of this machine alone, without systemd or accounting, for tests.

As a program: `python tests/cluster/slurm.py start|stop [FOLDER]`. Only one can run at a time.
"""

import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PARTITIONS = ("cpu", "gpu")  # each with a node of its own
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "squeue", "scancel", "sinfo")
PACKAGES = "slurmctld slurmd slurm-client munge"
# Commands find their Slurm here. The variable SLURM_CONF is no way: Snakemake's jobs inside Slurm
# call srun without Slurm's variables.
INSTALLED = Path("/etc/slurm/slurm.conf")
LOCK = Path("/tmp/facefill-slurm.lock")
LONGEST_FOLDER = 60  # sockets lie below it, and a socket's path has at most 107 characters
NULL = os.makedev(1, 3)  # /dev/null's number

CONFIGURATION = """\
ClusterName=facefill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
EnforcePartLimits=ALL
KillWait=2
MinJobAge=300
GresTypes=gpu
NodeName=cpu NodeHostname={host} NodeAddr=127.0.0.1 Port={cpu} {size}
NodeName=gpu NodeHostname={host} NodeAddr=127.0.0.1 Port={gpu} {size} Gres=gpu:{gpus}
PartitionName=cpu Nodes=cpu Default=YES MaxTime=2-0
PartitionName=gpu Nodes=gpu MaxTime=2-0
"""


def missing() -> str | None:
    """Why no Slurm can be started here, or None."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root here"
    if INSTALLED.exists() and not INSTALLED.is_symlink():
        return f"{INSTALLED} belongs to a Slurm of this machine"
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(lacking)} missing: apt-get install {PACKAGES}" if lacking else None


class Slurm:
    """Slurm's daemons of one folder, with the partitions `cpu` (default) and `gpu`.

    While it runs, srun, sbatch and so on find it by a link below /etc.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.configuration = self.folder / "slurm.conf"
        self.daemons: list[subprocess.Popen] = []

    def start(self, cpus: int = 2, memory: int = 8000, gpus: int = 1) -> None:
        """Start the daemons and wait until both nodes are idle.

        Each node says that it has `cpus` CPUs and `memory` MB; `gpu` says that it has `gpus` GPUs.
        Raises RuntimeError with the logs' ends when that does not happen within 30 s.
        """
        if len(str(self.folder)) > LONGEST_FOLDER:
            raise ValueError(f"{self.folder}: a shorter path is needed for Slurm's sockets")
        if INSTALLED.is_symlink():
            Slurm(INSTALLED.readlink().parent).stop()  # of tests that were killed
        self.folder.mkdir(mode=0o755, parents=True)
        for name in ("state", *(f"spool-{node}" for node in PARTITIONS)):
            (self.folder / name).mkdir()
        controller, *nodes = _free_ports(1 + len(PARTITIONS))
        self._write(
            "slurm.conf", _configuration(self.folder, controller, nodes, cpus, memory, gpus)
        )
        # Slurm takes any device for a GPU.
        for number in range(gpus):
            os.mknod(self.folder / f"card{number}", stat.S_IFCHR | 0o600, NULL)
        cards = f"NodeName=gpu Name=gpu File={self.folder}/card[0-{gpus - 1}]\n"
        self._write("gres.conf", cards)
        self._write("munge.key", os.urandom(64).hex(), mode=0o600)
        INSTALLED.symlink_to(self.configuration)
        try:
            self._start_munge()
            self._daemon("slurmctld", "-D")
            for node in PARTITIONS:
                self._daemon("slurmd", "-D", "-N", node)
            self._wait_until_idle(30)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the jobs, the daemons and what is left of them; remove the folder."""
        if processes(self.folder):
            self._end_jobs()
        for signalled in (signal.SIGTERM, signal.SIGKILL):
            _end(self.folder, signalled, seconds=5)
        for daemon in self.daemons:
            daemon.wait()
        if INSTALLED.is_symlink() and INSTALLED.readlink() == self.configuration:
            INSTALLED.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess:
        """Run one of Slurm's commands; `stdout` of the result has what it said on stderr, too."""
        return subprocess.run(
            command,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )

    def jobs(self) -> list[str]:
        """The numbers of the jobs that wait or run."""
        return self.run("squeue", "--noheader", "--format=%i").stdout.split()

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.folder / name
        path.touch(mode)
        path.write_text(text)

    def _daemon(self, program: str, *arguments: str) -> None:
        with open(self.folder / "daemons.log", "a") as log:
            daemon = subprocess.Popen(
                [program, *arguments],
                cwd=self.folder,
                env=os.environ | {"SLURM_CONF": str(self.configuration)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.daemons.append(daemon)

    def _start_munge(self) -> None:
        self._daemon(
            "munged",
            "--foreground",
            "--force",  # folders of tests may be writable by others
            f"--key-file={self.folder}/munge.key",
            f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )
        _wait((self.folder / "munge.socket").exists, 10) or self._fail("munged did not start")

    def _wait_until_idle(self, seconds: float) -> None:
        def idle() -> bool:
            states = self.run("sinfo", "--Node", "--noheader", "--format=%T").stdout.split()
            return states == ["idle"] * len(PARTITIONS)

        _wait(idle, seconds) or self._fail(f"its nodes are not idle after {seconds:.0f} s")

    def _fail(self, what: str) -> None:
        logs = (path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))
        raise RuntimeError("\n".join([f"Slurm: {what}", *(log[-2000:] for log in logs)]))

    def _end_jobs(self) -> None:
        try:
            for job in self.jobs():
                self.run("scancel", "--full", job, timeout=10)
            _wait(lambda: not self.jobs(), 15)
        except subprocess.TimeoutExpired:
            pass  # no controller answers: its processes are ended below


@contextmanager
def running(folder: Path, **size: int) -> Iterator[Slurm]:
    """A Slurm in `folder`; waits for up to a quarter of an hour while another test has one."""
    slurm = Slurm(folder)
    with open(LOCK, "w") as lock:
        if not _wait(lambda: _locked(lock), 900):
            raise RuntimeError(f"{LOCK} is held by another test")
        slurm.start(**size)
        try:
            yield slurm
        finally:
            slurm.stop()


def _configuration(
    folder: Path, controller: int, nodes: list[int], cpus: int, memory: int, gpus: int
) -> str:
    return CONFIGURATION.format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        controller=controller,
        size=f"CPUs={cpus} RealMemory={memory} State=UNKNOWN",
        gpus=gpus,
        **dict(zip(PARTITIONS, nodes, strict=True)),
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _locked(file: IO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return met


def processes(folder: Path) -> list[int]:
    """The processes of the Slurm in `folder`: Slurm hands the daemons' SLURM_CONF on to jobs."""
    mark = f"SLURM_CONF={folder}/slurm.conf".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended
    return found


def _end(folder: Path, signalled: signal.Signals, seconds: float) -> None:
    for process in processes(folder):
        try:
            os.kill(process, signalled)
        except ProcessLookupError:
            continue
    _wait(lambda: not processes(folder), seconds)


def main(action: str, folder: str = "/tmp/facefill-slurm") -> int:
    slurm = Slurm(Path(folder))
    if action == "stop":
        slurm.stop()
        return 0
    if reason := missing():
        print(f"facefill: {reason}", file=sys.stderr)
        return 1
    slurm.start()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
