"""Jobs on other nodes take the photos as they were planned with, and walk through no folder."""

import shutil

import pytest

from project import TINY, Project

pytestmark = pytest.mark.slow

# How Snakemake starts itself for one job on another node.
REMOTE = ["--mode", "remote", "--nolock", "--force", "--target-jobs"]
SHARD = "align:dataset=mine,shard=0,shards=3"


@pytest.fixture
def planned(tmp_path) -> Project:
    """A project whose build was planned; its photos are not on this node."""
    project = Project.new(tmp_path / "project")
    project.configure(dataset="mine", **TINY)
    for number in range(6):
        photo = project.folder / f"photos/person-{number}/{number}.jpg"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(b"photo %d" % number)
    assert project.planned()["align"] == 3
    shutil.move(project.folder / "photos", tmp_path / "photos")
    return project


@pytest.mark.parametrize("job", [SHARD, "index:dataset=mine"])
def test_a_job_on_another_node_needs_no_photos_to_know_itself(planned, job):
    plan = planned.plan(*REMOTE, job)
    assert plan.jobs == {job.partition(":")[0]: 1}


def test_who_plans_looks_at_the_photos(planned):
    process = planned.snakemake("--dry-run")
    assert process.returncode == 1
    assert "facefill: config: datasets.mine.path: photos: not a folder" in process.output


def test_a_job_on_a_node_without_what_was_planned_looks_at_the_photos(planned):
    shutil.rmtree(planned.folder / ".snakemake/facefill-listings")
    process = planned.snakemake("--dry-run", *REMOTE, SHARD)
    assert process.returncode == 1
    assert "facefill: config: datasets.mine.path: photos: not a folder" in process.output
