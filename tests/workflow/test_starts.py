"""The tests' dry runs in a process that has Snakemake loaded are those of the command."""

import re
import subprocess
import sys

import pytest

from project import Plan, Project, three_photos

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return three_photos(Project.new(tmp_path_factory.mktemp("starts") / "project"))


def command(project: Project, *arguments: str) -> tuple[int, str]:
    """Exit code and output of snakemake in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=project.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return process.returncode, process.stdout


def words(output: str) -> list[str]:
    """All words in alphabetical order, but those that differ from run to run."""
    varies = r"^(\[.*\]|  (Date|Workflow ID|Command|(Working|Run) directory): .*|    jobid: \d+)$"
    return sorted(re.findall(r"[^\s,;]+", re.sub(varies, "", output, flags=re.MULTILINE)))


@pytest.mark.parametrize("arguments", [(), ("--config", "split={val: 7}"), ("no/such/file",)])
def test_the_same_plan_and_refusals(project, arguments):
    code, output = command(project, "--dry-run", *arguments)
    process = project.snakemake("--dry-run", *arguments)
    assert process.returncode == code == bool(arguments)
    assert words(process.output) == words(output)


def test_the_plan_is_read_as_it_is_shown(project):
    """And one run leaves nothing for the next, in another folder or of another configuration."""
    plan = project.plan("--until", "align")
    assert plan == Plan({"align": 1}, {"align": {"dataset=mine, shard=0, shards=1"}})
    two = project.plan("--until", "align", "--config", 'align={"shards": 2}')
    assert two.jobs == {"align": 2} and len(two.wildcards["align"]) == 2
    assert project.plan("--until", "align") == plan
