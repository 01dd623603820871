"""Another "node" on this machine, for Snakemake's executor cluster-generic.

    node.py submit FOLDER JOBSCRIPT    runs a job where it was submitted; prints its number
    node.py away FOLDER JOBSCRIPT      runs it in a new folder: nodes without a shared file system
    node.py status FOLDER NUMBER       prints running, success or failed

A job has a bare environment and a session of its own, so that it outlives whoever submitted it.
FOLDER keeps the jobs' output.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

PYTHON = Path(sys.executable).parent  # `python` of a node is one that has Snakemake


def submit(folder: Path, script: str, away: bool) -> int:
    """Start `script` and return the number of its process."""
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / f"job-{len(list(folder.glob('job-*')))}"
    job.mkdir()
    given = job / "script.sh"
    given.write_text(Path(script).read_text())
    run = f"bash {shlex.quote(str(given))}; echo $? > {shlex.quote(str(job / 'exit'))}"
    with open(job / "output", "w") as output:
        process = subprocess.Popen(
            ["bash", "-c", run],
            cwd=job if away else None,
            env={"PATH": f"{PYTHON}:/usr/bin:/bin", "HOME": os.environ["HOME"]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (folder / f"process-{process.pid}").symlink_to(job)
    return process.pid


def status(folder: Path, number: str) -> str:
    try:
        code = (folder / f"process-{number}" / "exit").read_text().strip()
    except FileNotFoundError:
        return "running"
    return {"": "running", "0": "success"}.get(code, "failed")


if __name__ == "__main__":
    what, folder, argument = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if what == "status":
        print(status(folder, argument))
    else:
        print(submit(folder, argument, away=what == "away"))
