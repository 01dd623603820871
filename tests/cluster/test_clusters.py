"""Builds whose jobs run on other nodes come out as on one machine.

A "node" is this machine with a bare environment and another session (node.py), with or without a
shared file system, or a real Slurm of this machine alone (slurm.py).
"""

import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml

import slurm
from digests import digests
from project import TINY, Project

pytestmark = pytest.mark.slow

NODE = [sys.executable, str(Path(__file__).with_name("node.py"))]
# A training that leaves checkpoints, a search, a method without networks.
SMALL = TINY | {
    "dataset": "synthetic",
    "align": {"shards": 2},
    "methods": {"search": {"kind": "latent", "model": "dcgan", "steps": 4}},
    "compare": {"masks": ["center"], "methods": ["search", "mean"], "faces": 4},
}


@pytest.fixture(scope="session")
def expected(built_once) -> dict[str, str]:
    """The checksums of a build on this machine alone, of all that may not vary."""

    def build(project: Project) -> None:
        project.configure(**SMALL)
        project.build()

    found = digests(built_once("cluster", build).folder / "results")
    assert "synthetic/models/dcgan/weights.safetensors" in found and len(found) > 50
    return found


@pytest.fixture
def project(tmp_path) -> Project:
    made = Project.new(tmp_path / "project")
    made.configure(**SMALL)
    return made


def elsewhere(nodes: Path, how: str = "submit") -> list[str]:
    """Arguments that run jobs by node.py, which keeps their output in the folder `nodes`."""
    commands = {"submit": [*NODE, how, str(nodes)], "status": [*NODE, "status", str(nodes)]}
    given = ["--executor", "cluster-generic", "--jobs", "2", "--max-threads", "2"]
    given += ["--seconds-between-status-checks", "1"]
    for name, command in commands.items():
        given += [f"--cluster-generic-{name}-cmd", shlex.join(command)]
    return given


def killed_during(project: Project, arguments: list[str], sign: str) -> None:
    """Start a head, and kill it alone as soon as there is a file like `sign`."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    head = subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 300
    while not any(project.folder.glob(sign)):
        assert head.poll() is None and time.monotonic() < end, f"no {sign}"
        time.sleep(0.1)
    head.send_signal(signal.SIGKILL)
    head.wait()


def test_nodes_with_a_shared_folder_and_a_head_that_is_killed(project, expected, tmp_path):
    arguments = elsewhere(tmp_path / "nodes")
    killed_during(project, arguments, "results/logs/*/train_dcgan/dcgan.log")
    project.build("--unlock")
    output = project.build(*arguments)
    assert "Provided cores" not in output  # this machine's limit nothing on other nodes
    assert digests(project.folder / "results") == expected
    left = [path for path in project.folder.rglob("*") if ".partial" in path.name]
    assert left == []
    assert project.planned() == {}


def test_nodes_without_a_shared_folder(project, expected, tmp_path):
    """Sources travel by git, results by a storage: here another folder, filled by rsync."""
    if shutil.which("rsync") is None:
        pytest.skip("the storage plugin fs needs rsync: apt-get install rsync")
    (project.folder / ".gitignore").write_text("results/\n.snakemake/\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=project.folder, check=True)
    storage = tmp_path / "storage"
    project.build(
        *elsewhere(tmp_path / "nodes", "away"),
        *("--shared-fs-usage", "none", "--job-deploy-sources"),
        *("--default-storage-provider", "fs", "--default-storage-prefix", str(storage)),
    )
    assert digests(storage / "results") == expected
    assert not (project.folder / "results").exists()
    timings = (storage / "results/synthetic/report/timings.csv").read_text()
    assert "\ntrain_dcgan," in timings and "\nalign,,2," in timings


@pytest.fixture
def cluster(tmp_path_factory):
    if reason := slurm.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("s") / "slurm"
    with slurm.running(folder, cpus=4, memory=32000, gpus=1) as running:
        yield running


def test_slurm_with_a_partition_without_gpus_and_a_head_that_is_killed(project, expected, cluster):
    """Trainings go to the partition with GPUs, all else to the other one, which refuses --gpus."""
    arguments = ["--profile", "profiles/slurm"]
    arguments += ["--slurm-init-seconds-before-status-checks", "1"]
    gpu = ["train_dcgan:gpu=1", "train_dcgan:slurm_partition=gpu", "train_dcgan:runtime=60"]
    arguments += ["--set-resources", *gpu]
    killed_during(project, arguments, "results/logs/*/train_dcgan/dcgan.log")
    project.build("--unlock")
    project.build(*arguments)
    assert digests(project.folder / "results") == expected
    log = (project.folder / "results/logs/synthetic/train_dcgan/dcgan.log").read_text()
    assert "cards: 0" in log
    assert project.planned() == {}


def test_another_workflow_imports_this_one_as_a_module(project, expected, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"other": 1, "faces": SMALL}))
    (folder / "Snakefile").write_text(
        textwrap.dedent(f"""
        configfile: "config.yaml"

        module facefill:
            snakefile: {str(project.folder / "workflow/Snakefile")!r}
            config: config["faces"]

        use rule * from facefill as faces_*

        rule best:
            default_target: True
            input: rules.faces_report.output.summary.format(dataset="synthetic")
            output: "best.txt"
            shell: "cut -d, -f1-2 {{input}} > {{output}}"
        """)
    )
    theirs = Project(folder)
    theirs.build("--cores", "2")
    assert (folder / "best.txt").read_text().startswith("mask,method\n")
    assert digests(folder / "results") == expected
    timings = (folder / "results/synthetic/report/timings.csv").read_text()
    assert "\ntrain_dcgan," in timings  # by its own name, so that seconds per face are found
    assert theirs.planned("--cores", "2") == {}


def test_another_folder_by_the_option_directory(project, expected, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    project.build("--directory", str(folder), "--until", "index")
    assert list(digests(folder / "results")) and not (project.folder / "results").exists()
    found = digests(folder / "results")
    assert found.items() <= expected.items()
