"""The pretrained bundle in the workflow: photographs are restored at once, nothing is trained."""

import numpy as np
import pytest
from PIL import Image

from facefill.render import render_photo
from holes import over_the_mouth
from project import Project, mistake, names

pytestmark = pytest.mark.slow

PRETRAINED = ["restore", "--config", "dataset=pretrained"]
SET = 'restore={"family": {"path": "damaged"}}'


@pytest.fixture
def project(tmp_path) -> Project:
    """With one photograph, whose mouth is painted over, and a mask that says so."""
    project = Project.new(tmp_path / "project")
    photo, landmarks = render_photo(11, 0, 0)[:2]
    known = over_the_mouth(photo, landmarks)
    (project.folder / "damaged").mkdir()
    painted = np.where(known[..., None], photo, np.uint8(255))
    for name, pixels in (("whole", photo), ("damaged/a", painted), ("damaged/a.mask", known)):
        Image.fromarray(pixels).save(project.folder / f"{name}.png")
    return project


def test_a_photograph_is_restored_by_the_pretrained_bundle(project):
    jobs = {"transfer_bundle": 1, "transfer_models": 1, "restore_set": 1, "restore": 1}
    assert project.planned(*PRETRAINED, SET) == jobs
    assert "WARNING" not in project.build(*PRETRAINED, SET)
    assert project.planned(*PRETRAINED, SET) == {}
    restored = "results/pretrained/restored/family/photos/a.png"
    files = ("whole.png", "damaged/a.png", "damaged/a.mask.png", restored)
    whole, damaged, known, after = (np.asarray(Image.open(project.folder / name)) for name in files)
    np.testing.assert_array_equal(after[known], whole[known])
    errors = [np.abs(each - whole.astype(int))[~known].mean() for each in (after, damaged)]
    assert errors[0] < errors[1] / 4


def test_what_the_pretrained_bundle_does_not_serve(project):
    """One line says which models there are."""
    other = SET.replace("}}", ', "method": "ours"}}')
    line = mistake(project, "--dry-run", *PRETRAINED, other)
    names(line, "(workflow/pretrained/lfw.zip) has no model 'dcgan'", "it has: flow", "in restore")


def test_a_flow_without_its_guess(project):
    """Neither a bundle has the normal that a flow was trained from, nor a report by one."""
    plan = project.build(
        "--dry-run", "results/synthetic/bundle.zip", "--config", 'compare={"methods": ["flow"]}'
    )
    rule = plan[plan.index("rule bundle:") :]
    inputs = rule[: rule.index("output:")]
    assert "models/flow/" in inputs and "models/gaussian/" not in inputs
    lent = {"kind": "transfer", "models_of": "workflow/pretrained/lfw.zip", "faces_of": "synthetic"}
    project.configure(dataset="lent", datasets={"lent": lent}, compare={"methods": ["flow"]})
    plan = project.plan()
    assert plan.wildcards["transfer_models"] == {"dataset=lent, model=flow"}
    assert "train_gaussian" not in plan.jobs
