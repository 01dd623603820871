"""dlib's descriptors with gradients, and a flow whose means learn to show the same person."""

import numpy as np
import pytest
import torch

from facefill.core.descriptor import Describer
from facefill.core.descriptor_loss import IdentityLoss
from facefill.core.tensors import to_unit
from holes import smooth_faces
from trainings import fit
from untrained import save_flow

SIZE = 32


@pytest.mark.parametrize(("size", "zoom"), [(64, 1.0), (64, 0.7), (32, 1.0)])
def test_descriptors_are_those_that_measure(size, zoom):
    faces = smooth_faces(6, size)
    with torch.no_grad():
        found = IdentityLoss(size, zoom).describe(unit(faces)).numpy()
    measured = Describer(size, zoom)(faces)
    assert np.linalg.norm(found - measured, axis=1).max() < 0.02  # chips of 8 bits, or of floats
    assert np.linalg.norm(measured[1:] - measured[:-1], axis=1).min() > 0.1


@pytest.mark.parametrize("narrow", [False, True])
def test_the_loss_is_the_squared_distance_and_has_gradients(narrow):
    """Also where convolutions are in bfloat16: a distance is a small difference."""
    loss, faces = IdentityLoss(SIZE, 1.0), unit(smooth_faces(3, SIZE))
    completed = faces.flip(0).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        one, two = loss.describe(completed), loss.describe(faces).detach()
        found = loss(completed, two)
    assert found.dtype == one.dtype == torch.float32
    assert torch.allclose(found, (one - two).square().sum(1))
    assert found[1] == 0  # the middle one is itself
    found.sum().backward()
    assert (completed.grad[[0, 2]].abs().amax((1, 2, 3)) > 0).all()


def test_a_training_that_loses_too_much_says_so(tmp_path):
    models, pictures = {"flow": save_flow(tmp_path / "flow")}, smooth_faces(28, SIZE)
    trained = fit(
        "flow_identity", pictures[:24], pictures[24:], tmp_path / "fit",
        models=models, lr=0.5, ema=0.0, epochs=1,
    )  # fmt: skip
    (warning,) = trained.facts["warnings"]
    assert "are worse than those of the flow" in warning and "lower its weight or lr" in warning


def unit(faces):
    return to_unit(torch.from_numpy(faces).permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, one_thread):
    """Histories of trainings from one flow, by the weight of the loss on identity."""
    folder = tmp_path_factory.mktemp("flow_identity")
    models, pictures = {"flow": save_flow(folder / "flow")}, smooth_faces(28, SIZE)
    settings = {"epochs": 8, "lr": 0.002, "ema": 0.5, "models": models}
    return {
        weight: fit(
            "flow_identity", pictures[:24], pictures[24:], folder / str(weight),
            weight=weight, **settings,
        ).history
        for weight in (1e-6, 10.0)
    }  # fmt: skip


def test_a_training_brings_descriptors_nearer(learnt):
    without, taught = learnt[1e-6], learnt[10.0]
    assert [*taught] == [
        "epoch",
        "step",
        "error",
        "distance",
        "val_hole_psnr",
        "val_identity",
        "kept",
    ]
    assert taught["distance"].iloc[-1] < 0.9 * taught["distance"].iloc[0]
    assert taught["distance"].iloc[-1] < 0.95 * without["distance"].iloc[-1]
    assert taught["val_identity"].iloc[-1] < without["val_identity"].iloc[-1]
