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


def test_the_loss_is_the_squared_distance_and_has_gradients():
    loss, faces = IdentityLoss(SIZE, 1.0), unit(smooth_faces(3, SIZE))
    completed = faces.flip(0).requires_grad_()
    found = loss(completed, faces)
    one, two = loss.describe(completed), loss.describe(faces)
    assert torch.allclose(found, (one - two).square().sum(1))
    assert found[1] == 0  # the middle one is itself
    found.sum().backward()
    assert (completed.grad[[0, 2]].abs().amax((1, 2, 3)) > 0).all()


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
    assert taught["distance"].iloc[-1] < 0.9 * taught["distance"].iloc[0]
    assert taught["distance"].iloc[-1] < 0.95 * without["distance"].iloc[-1]
    assert taught["val_identity"].iloc[-1] < without["val_identity"].iloc[-1]
