"""Two builds of one configuration agree in every byte, whatever --cores says.

The second one is watched: results appear under their names only when they are whole.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from digests import VARIES, differences, digests
from project import SYNTHETIC, Project

# A file opened to be written, as strace prints it.
OPENED = re.compile(r'open(?:at)?\((?:AT_FDCWD[^,]*, )?"([^"]+)", [A-Z_|]*O_(?:WRONLY|RDWR)[^)]*\)')
# Snakemake's own: logs, benchmarks, and the date of a folder.
FREE = re.compile(r"results/(logs|benchmarks)/|\.snakemake_timestamp$")


def tracer() -> str | None:
    """The path of strace, if it is installed and this machine lets it trace."""
    strace = shutil.which("strace")
    if strace and subprocess.run([strace, "true"], capture_output=True).returncode == 0:
        return strace
    return None


@pytest.fixture(scope="module")
def another(tmp_path_factory) -> tuple[Project, Path]:
    """A second build, on two cores in another place, and its trace where there can be one."""
    home = tmp_path_factory.mktemp("another place")
    project, trace = Project.new(home / "project"), home / "trace"
    project.configure(**SYNTHETIC)
    if strace := tracer():
        options = ["--follow-forks", "--seccomp-bpf", "--trace=open,openat", "--quiet=all"]
        project.runner = (strace, *options, f"--output={trace}")
    project.build("--cores", "2")
    return project, trace


@pytest.mark.slow
def test_one_core_or_two(synthetic_project, another):
    one, two = (digests(project.folder / "results") for project in (synthetic_project, another[0]))
    assert differences(one, two) == []
    # And these are all results, but for the exceptions that the design names.
    every = {path.name for path in another[0].folder.glob("results/synthetic/**/*.*")}
    compared = {name.rpartition("/")[2] for name in one}
    varying = {
        "provenance.json",
        "timings.csv",
        "timings.png",
        "index.html",
        ".snakemake_timestamp",
    }
    assert {name for name in every - compared if not name.startswith("events.")} == varying


@pytest.mark.slow
def test_results_appear_by_rename(another):
    """A file of a result is only ever written under a temporary name, or in a temporary folder."""
    if not another[1].exists():
        pytest.skip("strace is not installed, or this machine does not let it trace")
    written = [
        path
        for path in OPENED.findall(another[1].read_text(errors="replace"))
        if "results/" in path and not FREE.search(path)
    ]
    assert len(written) > 100  # the trace has seen the stages at work
    checkpoints = [path for path in written if "/checkpoints/" in path and "/events/" in path]
    bare = {path for path in written if ".partial" not in path} - set(checkpoints)
    assert bare == set()


def test_the_exceptions_are_those_of_the_design():
    varies = [
        "logs/x/split.log",
        "benchmarks/x/split.tsv",
        "x/report/provenance.json",
        "x/report/timings.csv",
        "x/report/timings.png",
        "x/report/index.html",
        "x/models/m/events/events.out",
        "x/results.md",  # has seconds
    ]
    assert all(VARIES.fullmatch(name) for name in varies)
    fixed = ["x/report/metrics.csv", "x/models/m/history.csv", "x/index.csv", "x/faces/logs/a.png"]
    assert not any(VARIES.fullmatch(name) for name in fixed)
