"""The examples of CONTRIBUTING.md, followed in a copy of the project."""

import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest
import yaml

from project import ROOT, Project

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# A file of the examples: its path in a line of its own, and a block of code.
FILE = re.compile(r"^`(workflow/[\w/]+\.py)`\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = dict(FILE.findall(TEXT))
KINDS = {
    "datasets": "parts",
    "masks": "stripes",
    "methods": "blur",
    "metrics": "hole_gradient",
    "models": "tiny",
}
pytestmark = pytest.mark.skipif(
    any((ROOT / path).exists() for path in EXAMPLES), reason="the examples are followed already"
)
ENTRIES = yaml.safe_load(next(text for kind, text in FENCE.findall(TEXT) if kind == "yaml"))


def add_examples(project: Project) -> Project:
    """Write the files of the examples into a project."""
    for path, text in EXAMPLES.items():
        file = project.folder / path
        assert not file.exists(), f"{path} is there already"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return project


def test_a_kind_is_one_file_and_a_model_two():
    top = "workflow/facefill"
    one = [f"{top}/{table}/{kind}.py" for table, kind in KINDS.items() if table != "models"]
    two = [f"{top}/models/{KINDS['models']}/{name}.py" for name in ("__init__", "training")]
    assert sorted(EXAMPLES) == sorted([*one, *two])


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Project:
    """A copy of the project with its tests and the examples."""
    project = Project.new(tmp_path_factory.mktemp("copy") / "project")
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("tests", "docs"):
        shutil.copytree(ROOT / part, project.folder / part, ignore=ignored)
    for part in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / part, project.folder)
    return add_examples(project)


@pytest.mark.slow
def test_they_keep_to_their_contracts(copy):
    """The contract tests, none of which names them, find every one and pass."""
    chosen = " or ".join(KINDS.values())
    options = ["-v", "-p", "no:cacheprovider", "tests/contract", "-k", chosen]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=copy.folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = [line for line in done.stdout.splitlines() if "PASSED" in line]
    for table, kind in KINDS.items():
        own = [line for line in passed if re.search(rf"\[(.+-)?{kind}(-.+)?\]", line)]
        assert any(f"test_{table}.py" in line for line in own), (table, kind)
        assert any("test_kinds.py" in line for line in own), (table, kind)


@pytest.mark.slow
def test_their_layout_is_the_house_s(copy):
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", *EXAMPLES]
        done = subprocess.run(command, cwd=copy.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def dry_runs() -> list[str]:
    lines = [
        line for kind, text in FENCE.findall(TEXT) if kind == "sh" for line in text.split("\n")
    ]
    return [line for line in lines if line.startswith("snakemake -n")]


@pytest.mark.slow
def test_every_dry_run_of_the_page_works(copy):
    assert len(dry_runs()) >= len(KINDS)
    for line in dry_runs():
        copy.build("--dry-run", *shlex.split(line, comments=True)[2:])


@pytest.mark.slow
def test_the_data_set_makes_raw(copy, tmp_path):
    """Offline, from two archives."""
    archives = []
    for number, person in enumerate(("Ann", "Bob", "Eve")):
        photo = tmp_path / person / "1.jpg"
        photo.parent.mkdir()
        photo.write_bytes(b"not to be aligned here")
        archives.append(tmp_path / f"{number}.tgz")
        with tarfile.open(archives[-1], "w:gz") as archive:
            archive.add(photo, f"{person}/1.jpg")
    entry = {"kind": KINDS["datasets"], "urls": [archive.as_uri() for archive in archives]}
    copy.configure(datasets={"both": entry}, dataset="both")
    assert copy.planned()["download_parts"] == 1
    copy.build("results/both/index.csv")
    index = pd.read_csv(copy.folder / "results/both/index.csv")
    assert index["source"].tolist() == [
        "part-0/Ann/1.jpg", "part-1/Bob/1.jpg", "part-2/Eve/1.jpg",
    ]  # fmt: skip


@pytest.mark.slow
def test_after_a_finished_build_only_what_they_add_runs(built):
    """Nothing is trained or completed again; a new measure measures what is completed."""
    old = built.plan().jobs
    assert old == {}
    add_examples(built)
    assert built.planned() == {"measure": 7, "report": 1}
    model = {"epochs": 1, "batch": 8, "channels": 4} | ENTRIES["models"]["tiny"]
    built.configure(
        models={"tiny": model},
        methods=ENTRIES["methods"],
        compare={
            "masks": ["center", "small", "stripes"],
            "methods": ["ours", "other", "glcic", "telea", "mean", "blur", "tiny"],
        },
    )
    plan = built.plan()
    assert plan.jobs == {
        "train_tiny": 1,
        "complete_latent": 1,  # ours under stripes
        "complete_telea": 1,
        "complete_blur": 3,
        "complete_feedforward": 3,  # tiny under every mask
        "measure": 15,
        "report": 1,
    }
    assert plan.wildcards["train_tiny"] == {"dataset=mine, model=tiny"}
    built.build("all", "results/mine/results.md")
    assert built.planned() == {}
    report = built.folder / "results" / "mine" / "report"
    metrics = pd.read_csv(report / "metrics.csv")
    assert metrics["hole_gradient"].notna().all()
    assert {("stripes", "blur"), ("stripes", "tiny"), ("center", "tiny")} <= set(
        zip(metrics["mask"], metrics["method"], strict=True)
    )
    for text in (report / "index.html", built.folder / "results" / "mine" / "results.md"):
        _names(text, "hole gradient error", "stripes", "blur", "tiny")


def _names(file: Path, *words: str) -> None:
    text = file.read_text(encoding="utf-8")
    for word in words:
        assert word in text, (file.name, word)
