"""What reruns in a comparison that has a completion network: its room is its own."""

import numpy as np
import pytest
from test_reruns import MORE_MASKS, wildcards

from project import Project

COMPLETIONS = {"complete_feedforward": 1, "measure": 1, "report": 1}
FROM_GLCIC = {"train_glcic": 1, **COMPLETIONS}
EVERYBODY = {"complete_latent": 1, "complete_feedforward": 1, "complete_classical": 2}


@pytest.fixture(scope="module")
def compared(folder_project, tmp_path_factory) -> Project:
    """Built with all methods of the default, and glcic. Copy it before you change it."""
    project = folder_project.copy(tmp_path_factory.mktemp("glcic") / "project")
    project.configure(compare={"methods": ["ours", "glcic", "telea", "mean"]})
    assert project.planned() == FROM_GLCIC  # one method more trains its model and nothing else
    project.build()
    return project


@pytest.fixture
def built(compared, tmp_path) -> Project:
    return compared.copy(tmp_path / "project")


def test_nothing_changed(compared):
    assert compared.planned() == {}


CODE = {
    "workflow/facefill/train/glcic.py": FROM_GLCIC,
    "workflow/facefill/train/holes.py": {  # the encoder's, too
        "train_glcic": 1, "complete_feedforward": 1, "train_encoder": 1, "complete_latent": 1,
        "measure": 2, "report": 1,
    },
    "workflow/facefill/train/glcic_networks.py": FROM_GLCIC,
    "workflow/scripts/train_glcic.py": FROM_GLCIC,
    "workflow/rules/train_glcic.smk": FROM_GLCIC,
    "workflow/facefill/complete/feedforward.py": COMPLETIONS,
    "workflow/scripts/complete_feedforward.py": COMPLETIONS,
    "workflow/rules/complete_feedforward.smk": COMPLETIONS,
    "workflow/facefill/complete/classical/tv.py": {
        "complete_classical": 2, "measure": 2, "report": 1,
    },
    "workflow/facefill/train/dcgan.py": {
        "train_dcgan": 1, "measure_model": 1, "train_encoder": 1, "complete_latent": 1,
        "measure": 1, "report": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("path", CODE)
def test_the_code_of_one_kind(built, path):
    """That of glcic reruns nothing of the DCGAN, and the other way round."""
    with (built.folder / path).open("a") as file:
        file.write("\n# a remark\n")
    assert built.planned() == CODE[path]


@pytest.mark.parametrize("change", [{"alpha": 0.1}, {"joint_epochs": 2}, {"masks": MORE_MASKS}])
def test_a_value_under_the_model(built, change):
    built.configure(models={"glcic": change})
    assert built.planned() == FROM_GLCIC
    assert wildcards(built, "train_glcic") == {"dataset=mine, model=glcic"}


def test_a_value_under_the_method(built):
    built.configure(methods={"glcic": {"blend": "none"}})
    assert built.planned() == COMPLETIONS
    assert wildcards(built, "complete_feedforward") == {"dataset=mine, mask=center, method=glcic"}


def test_a_new_mask_trains_nothing(built):
    built.configure(compare={"masks": ["center", "random80"]})
    assert built.planned() == {**EVERYBODY, "measure": 4, "report": 1}


def test_another_form_of_a_mask_trains_nothing(built):
    built.configure(masks={"center": {"scale": 0.3}})
    assert built.planned() == {**EVERYBODY, "measure": 4, "report": 1}


def test_a_target_is_an_input(built):
    """A search that takes glcic's completions as a target reruns with these, and trains nothing."""
    built.configure(compare={"methods": ["ours", "hybrid", "telea", "mean"]})
    hybrid = {"complete_latent": 1, "measure": 1, "report": 1}
    assert built.planned() == hybrid
    completions = "results/mine/completions/center"
    built.build(f"{completions}/hybrid/samples.npy")
    drawn, free = (
        np.load(built.folder / completions / name / "samples.npy") for name in ("hybrid", "ours")
    )
    assert (drawn != free).any()
    built.configure(methods={"glcic": {"blend": "none"}})
    assert built.planned() == {"complete_feedforward": 1, **hybrid}
    assert wildcards(built, "complete_latent") == {"dataset=mine, mask=center, method=hybrid"}


def test_the_model_of_another_preset_is_nobodys_matter(built):
    built.configure(models={"ashwin2018": {"alpha": 0.1}, "context_encoder": {"alpha": 0.1}})
    assert built.planned() == {}


@pytest.mark.parametrize("text", ["completion_losses.rst", "network_samples.rst"])
def test_a_caption(built, text):
    with (built.folder / "workflow/report" / text).open("a") as file:
        file.write("\n")
    assert built.planned() == {"report": 1}
