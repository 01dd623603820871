"""A training that fails or is killed costs neither the weights before nor the epochs so far."""

import os
import signal
import time

import pytest

from digests import differences, digests
from project import Project, mistake, names
from test_kills import start

pytestmark = pytest.mark.slow

MODEL = "results/mine/models/dcgan"
EPOCHS = 12


def train(project: Project) -> str:
    return project.build("--until", "train_dcgan")


@pytest.mark.parametrize("change", ["settings", "code"])
def test_a_failed_retraining_leaves_the_last_good_weights(built, change):
    weights = built.folder / MODEL / "weights.safetensors"
    module = built.folder / "workflow/facefill/models/dcgan/training.py"
    good, before = weights.read_bytes(), digests(built.folder / "results")
    rate, code = built.config()["models"]["dcgan"]["generator_lr"], module.read_text()
    if change == "settings":
        built.configure(models={"dcgan": {"generator_lr": 1e30}})
    else:
        # Not the loop, which the other models share: they would fail, too.
        edited = "copy.deepcopy(self.players.generator)"
        built.edit("workflow/facefill/models/dcgan/training.py", edited, "1 / 0")
    line = mistake(built)
    if change == "settings":
        names(line, "the losses are no longer numbers", "lower the model's learning rates")
    assert weights.read_bytes() == good
    # What was not trained like this is not taken for it.
    assert built.planned()["train_dcgan"] == 1
    built.configure(models={"dcgan": {"generator_lr": rate}})
    module.write_text(code)
    train(built)
    assert digests(built.folder / "results") == before


@pytest.fixture(scope="module")
def killed(folder_project, tmp_path_factory) -> Project:
    """A retraining that was killed with SIGKILL after its second epoch or later."""
    project = folder_project.copy(tmp_path_factory.mktemp("killed") / "project")
    project.configure(models={"dcgan": {"epochs": EPOCHS}})
    good = (project.folder / MODEL / "weights.safetensors").read_bytes()
    log = project.folder / "results/logs/mine/train_dcgan/dcgan.log"
    log.unlink()
    process = start(project)
    while "epoch 2:" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (project.folder / MODEL / "weights.safetensors").read_bytes() == good
    project.build("--unlock")
    return project


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(killed, folder_project, tmp_path):
    whole = folder_project.copy(tmp_path / "whole")
    whole.configure(models={"dcgan": {"epochs": EPOCHS}})
    assert "training goes on" not in train(whole)
    resumed = killed.copy(tmp_path / "resumed")
    assert "training goes on after epoch" in train(resumed)
    one, two = (digests(project.folder / "results") for project in (whole, resumed))
    assert differences(one, two) == []
    assert not (resumed.folder / "results/mine/checkpoints/dcgan").exists()


@pytest.mark.parametrize("other", ["settings", "data", "code"])
def test_a_foreign_checkpoint_is_never_taken_up(killed, tmp_path, other):
    project = killed.copy(tmp_path / "project")
    if other == "settings":
        project.configure(models={"dcgan": {"beta1": 0.6}})
    elif other == "data":
        project.configure(split={"seed": 1})
    else:
        with (project.folder / "workflow/facefill/models/dcgan/networks.py").open("a") as file:
            file.write("\nassert True\n")
    assert "training goes on" not in train(project)
