"""A copy of the project in a folder of its own, to run and to change."""

import functools
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from PIL import Image

from facefill.render import photo_name, plan_photos, render_photo
from starts import starter

ROOT = Path(__file__).resolve().parents[1]
PARTS = ["Snakefile", "config.yaml", "workflow", "profiles", "envs", "pyproject.toml", "LICENSE"]

# Small enough for seconds, large enough that every stage has work to do.
TINY = {
    "datasets": {"synthetic": {"faces": 40, "people": 20}},
    "align": {"shards": 3},
    "split": {"val": 0.2, "test": 0.2},
    "models": {
        "dcgan": {
            "epochs": 2,
            "batch": 8,
            "generator_filters": 4,
            "discriminator_filters": 4,
            "z_dim": 8,
            "validation_faces": 4,
        },
        "encoder": {"epochs": 1, "batch": 8, "filters": 4},
        "glcic": {
            "reconstruction_epochs": 1,
            "discriminator_epochs": 1,
            "joint_epochs": 1,
            "batch": 8,
            "width": 0.05,
            "discriminator_width": 0.05,
        },
    },
    "methods": {"ours": {"steps": 4}},
    "compare": {"faces": 4},
}
# A build with every kind of model, whose photos are rendered.
SYNTHETIC = TINY | {
    "dataset": "synthetic",
    "datasets": {"synthetic": {"faces": 60, "people": 20}},
    "compare": {"masks": ["center"], "methods": ["ours", "glcic", "telea", "mean"], "faces": 4},
}


class Project:
    """A folder with the workflow in it."""

    runner: tuple[str, ...] = ()  # a program that runs snakemake, and its arguments

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def new(cls, folder: Path) -> "Project":
        """Copy the workflow as a clone would: with new dates, without results."""
        folder.mkdir(parents=True)
        for part in PARTS:
            source, target = ROOT / part, folder / part
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, target, ignore=ignored, copy_function=shutil.copy)
            else:
                shutil.copy(source, target)
        return cls(folder)

    def copy(self, folder: Path) -> "Project":
        """Copy everything, with dates and results."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def configure(self, **changes) -> None:
        """Merge `changes` into config.yaml."""
        path = self.folder / "config.yaml"
        config = yaml.safe_load(path.read_text())
        _merge(config, changes)
        path.write_text(yaml.safe_dump(config, sort_keys=False))

    def config(self) -> dict:
        return yaml.safe_load((self.folder / "config.yaml").read_text())

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old` in a file, which must hold it."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1))

    def snakemake(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess:
        """Run snakemake; `output` of the result is what the terminal showed."""
        if arguments[:1] == ("--dry-run",):
            return starter().run(self.folder, arguments, timeout)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        process = subprocess.run(
            [*self.runner, sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
        )
        process.output = process.stdout
        return process

    def build(self, *arguments: str) -> str:
        """Run snakemake, which must succeed; return what it printed."""
        process = self.snakemake(*arguments)
        assert process.returncode == 0, process.output[-6000:]
        return process.output

    def plan(self, *arguments: str) -> "Plan":
        """What a run would do."""
        return Plan.read(self.build("--dry-run", *arguments))

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of every rule a run would start."""
        return self.plan(*arguments).jobs


@dataclass
class Plan:
    """What a dry run says: how many jobs of every rule but `all`, and their wildcards."""

    jobs: dict[str, int]
    wildcards: dict[str, set[str]]

    @classmethod
    def read(cls, output: str) -> "Plan":
        if "Nothing to be done" in output:
            return cls({}, {})
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.DOTALL | re.MULTILINE)
        assert table, output[-3000:]
        rows = (line.split() for line in table[1].splitlines())
        jobs = {rule: int(count) for rule, count in rows if rule != "all"}
        wildcards = {}
        for rule, block in re.findall(r"rule (\w+):\n((?:    .*\n)+)", output):
            found = re.findall(r"^    wildcards: (.+)$", block, re.MULTILINE)
            wildcards[rule] = wildcards.get(rule, set()) | set(found)
        return cls(jobs, wildcards)


def three_photos(project: Project) -> Project:
    """Make three good photos of two people in one shard the dataset."""
    project.configure(dataset="mine", align={"shards": 1})
    for person, shot in plan_photos(3, 2, 0):
        path = project.folder / "photos" / photo_name(person, shot)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_photo(0, person, shot)[0]).save(path, quality=90)
    return project


def mistake(project: Project, *arguments: str, timeout: float = 120) -> str:
    """Run snakemake, which must end with exactly one line of ours; return that line."""
    process = project.snakemake(*arguments, timeout=timeout)
    assert process.returncode == 1, process.output[-3000:]
    assert "Traceback (most recent call last)" not in process.output, process.output[-3000:]
    lines = our_lines(process.output)
    assert len(lines) == 1, "\n".join(lines) or process.output[-3000:]
    return lines[0]


def our_lines(output: str) -> list[str]:
    """The lines of facefill on the terminal of a run of Snakemake.

    A job's line may stand behind one of Snakemake's, which writes a line and its end apart.
    """
    return re.findall(r"facefill: .*", output)


def names(line: str, *parts: str) -> None:
    for part in parts:
        assert part in line, line


@functools.cache
def without_privileges() -> tuple[str, ...] | None:
    """A program that runs another which may read only what modes allow; None if there is none."""
    if os.geteuid() != 0:
        return ()
    powers = "-dac_override,-dac_read_search"
    runner = ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")
    try:
        subprocess.run([*runner, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return runner


def as_nobody(folder: Path, work: Callable[[], object]) -> object:
    """Return what `work` returns when somebody without any power calls it inside `folder`.

    That somebody gets `folder` and what lies there as far as modes allow, but not the folders
    above it: `work` must use paths relative to it.
    """
    if os.geteuid() != 0:
        before = Path.cwd()
        os.chdir(folder)
        try:
            return work()
        finally:
            os.chdir(before)
    folder.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            result = (True, work())
        except BaseException as error:
            result = (False, repr(error))
        with open(writer, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    worked, result = pickle.loads(answer)
    if not worked:
        pytest.fail(f"as nobody: {result}")
    return result


def _merge(config: dict, changes: dict) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            _merge(config[key], value)
        else:
            config[key] = value
