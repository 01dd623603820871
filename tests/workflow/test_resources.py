"""What jobs ask a cluster for, and which limits count where."""

import re
import shutil

import pytest

from facefill.kinds import kinds
from project import SYNTHETIC, Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Project:
    project = Project.new(tmp_path_factory.mktemp("resources") / "project")
    project.configure(**SYNTHETIC)
    return project


def resources(project: Project, *arguments: str) -> dict[str, dict[str, str]]:
    """What one job of each rule asks for, by a dry run."""
    output = project.build("--dry-run", *arguments)
    found = {}
    for rule, block in re.findall(r"rule (\w+):\n((?:    .*\n)+)", output):
        asked = re.search(r"^    resources: (.+)$", block, re.MULTILINE)[1]
        found[rule] = dict(part.split("=", 1) for part in asked.split(", "))
        threads = re.search(r"^    threads: (.+)$", block, re.MULTILINE)
        found[rule]["threads"] = threads[1] if threads else "1"
    return found


def test_every_job_says_its_memory_and_time(planned):
    asked = resources(planned, "results/synthetic/bundle.zip", "all")
    assert {"render", "align", "train_dcgan", "train_glcic", "complete_latent", "bundle"} <= set(
        asked
    )
    for rule, said in asked.items():
        if rule != "all":
            assert int(said["runtime"]) >= 60, rule
            assert said["mem_mb"] == "<TBD>" or int(said["mem_mb"]) >= 1000, rule


def test_a_gpu_is_asked_for_where_the_device_is_one(planned):
    network = {"train_dcgan", "train_encoder", "train_glcic", "complete_latent", "measure_model"}
    on_cpu = resources(planned, "--config", "device=cpu")
    assert {on_cpu[rule]["gpu"] for rule in network} == {"0"}
    on_gpu = resources(planned, "--config", "device=cuda")
    assert {on_gpu[rule]["gpu"] for rule in network} == {"1"}
    assert on_gpu["complete_telea"]["gpu"] == "0" and "gpu" not in on_gpu["align"]
    of_cuda = int(on_gpu["complete_latent"]["mem_mb"]) - int(on_cpu["complete_latent"]["mem_mb"])
    assert of_cuda == 2500


def test_threads_follow_the_option_max_threads(planned):
    """A number that the profile gives, so that every node rounds alike."""
    asked = resources(planned, "--cores", "64", "--max-threads", "16")
    assert asked["render"]["threads"] == "16"
    assert resources(planned, "--cores", "64", "--max-threads", "1")["render"]["threads"] == "1"


def test_what_needs_the_internet_runs_where_snakemake_was_started():
    for kind, declared in kinds("datasets").items():
        assert declared.downloads == (kind == "archive")


def test_a_profile_of_the_user_may_let_several_jobs_have_the_gpu(planned, tmp_path):
    """Without one, one job has it."""
    profile = tmp_path / "mine"
    profile.mkdir()
    (profile / "profile.yaml").write_text("resources: [gpu=8]\n")
    project = planned.copy(tmp_path / "project")
    # Deleted again, so that there is something to do both times.
    for arguments, granted in ((["--profile", str(profile)], 8), ([], 1)):
        output = project.build(*arguments, "--until", "render")
        assert re.search(rf"Provided resources: gpu=\D*{granted}\b", output), output
        shutil.rmtree(project.folder / "results")


def test_an_error_at_home_is_told_once(planned, tmp_path):
    """`retries` of downloads and trainings are for nodes that fail."""
    project = planned.copy(tmp_path / "project")
    nowhere = {"kind": "archive", "urls": ["file:///nowhere/a.zip"], "sha256": None}
    project.configure(dataset="none", datasets={"none": nowhere})
    process = project.snakemake()
    assert process.returncode == 1
    assert process.output.count("facefill: nothing could be downloaded") == 1, process.output
    again = project.snakemake("--retries", "1")
    assert again.output.count("facefill: nothing could be downloaded") == 2
