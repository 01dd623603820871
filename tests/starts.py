"""Dry runs of Snakemake without loading it anew: a process that has loaded it forks for each.

Everything else is as in a start of its own: the command line, the folder, the Snakefile.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path


class Starter:
    """A process that waits for folders and arguments, and runs snakemake there."""

    def __init__(self):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        atexit.register(self._end)

    def _end(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def run(
        self, folder: Path, arguments: tuple[str, ...], timeout: float
    ) -> subprocess.CompletedProcess:
        """Run snakemake in `folder`; `output` of the result is what the terminal showed."""
        with tempfile.NamedTemporaryFile(errors="replace", mode="r") as shown:
            order = [str(folder.resolve()), list(arguments), shown.name, int(timeout)]
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            if code == -signal.SIGALRM:
                raise subprocess.TimeoutExpired(["snakemake", *arguments], timeout)
            process = subprocess.CompletedProcess(["snakemake", *arguments], code)
            process.output = shown.read()
            return process


@functools.cache
def starter() -> Starter:
    """The one of this process of tests."""
    return Starter()


def _serve() -> None:
    from snakemake.cli import main

    for line in sys.stdin:
        folder, arguments, shown, timeout = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.alarm(timeout)
            os.chdir(folder)
            sys.path[0] = folder
            sys.argv = ["snakemake", *arguments]
            target = os.open(shown, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(target, stream)
            sys.exit(main(arguments))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
