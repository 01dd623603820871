"""A training that is granted several GPUs: by as many processes, which need none here."""

import json

import pytest

from project import mistake, names

pytestmark = pytest.mark.slow

GRANTED = ("--until", "train_dcgan", "--set-resources", "train_dcgan:gpu=2", "--resources", "gpu=2")


def test_two_gpus_are_two_processes(built):
    built.build("--forcerun", "train_dcgan", *GRANTED)
    settings = json.loads((built.folder / "results/mine/models/dcgan/settings.json").read_text())
    assert settings["processes"] == 2
    assert "2 processes" not in json.dumps(settings)  # it did not go on from anything
    assert not (built.folder / "results/mine/checkpoints/dcgan").exists()


def test_a_batch_that_does_not_divide_is_refused(built):
    built.configure(models={"dcgan": {"batch": 7}})
    line = mistake(built, *GRANTED)
    names(line, "config: models.dcgan.batch is 7", "2 processes", "set it to a multiple of 2")
