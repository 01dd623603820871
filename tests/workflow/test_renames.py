"""Results appear under their names only when they are whole: seen by the calls of a build."""

import re
import shutil
import subprocess
import sys

import pytest

from project import TINY, Project

# A file opened to be written, as strace prints it.
OPENED = re.compile(r'open(?:at)?\((?:AT_FDCWD[^,]*, )?"([^"]+)", [A-Z_|]*O_(?:WRONLY|RDWR)[^)]*\)')
# Snakemake's own: logs, benchmarks, and the date of a folder.
FREE = re.compile(r"results/(logs|benchmarks)/|\.snakemake_timestamp$")


def test_results_appear_by_rename(tmp_path):
    """A file of a result is only ever written under a temporary name, or in a temporary folder."""
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "true"], capture_output=True).returncode:
        pytest.skip("strace is not installed, or this machine does not let it trace")
    project = Project.new(tmp_path / "project")
    project.configure(**TINY)
    project.configure(dataset="synthetic")
    trace = tmp_path / "trace"
    options = ["--follow-forks", "--seccomp-bpf", "--trace=open,openat", "--quiet=all"]
    subprocess.run(
        [strace, *options, f"--output={trace}", sys.executable, "-m", "snakemake"],
        cwd=project.folder,
        check=True,
        capture_output=True,
    )
    written = [
        path
        for path in OPENED.findall(trace.read_text(errors="replace"))
        if "results/" in path and not FREE.search(path)
    ]
    assert len(written) > 100  # the trace has seen the stages at work
    checkpoints = [path for path in written if "/checkpoints/" in path and "/events/" in path]
    bare = {path for path in written if ".partial" not in path} - set(checkpoints)
    assert bare == set()
