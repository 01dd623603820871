"""On a GPU: trainings and searches run there at all, and give the same bytes twice.

PyTorch refuses what is not deterministic only where it computes on a GPU, so these tests are the
only ones that see it.
"""

import numpy as np
import pytest
import test_complete
import test_encoder
import test_glcic
import test_train
import torch

from facefill.core.masking import make_masks, observe
from facefill.methods.latent import loss
from facefill.methods.latent.search import search
from facefill.models.dcgan import training as dcgan
from facefill.models.encoder import training as encoder
from facefill.models.glcic import training as glcic
from holes import smooth_faces

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

FACES, UNSEEN = smooth_faces(20, 32), smooth_faces(3, 32)
MASKS = [{"kind": "center", "scale": 0.25}, {"kind": "lowres", "factor": 8}]


def state(trained):
    return [value.cpu() for one in trained.networks.values() for value in one.state_dict().values()]


def same_twice(fit, folder):
    """Train twice in folders of their own."""
    one, two = (state(fit(folder / name)) for name in ("one", "two"))
    assert all(map(torch.equal, one, two))


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"antialias": True, "kernel": 5, "fully_connected": 8, "validation_faces": 3},
        {"loss": "hinge", "spectral_norm": True, "r1": 1.0, "augment": ("color", "translation")},
    ],
)
def test_a_dcgan_trains_on_a_gpu(changes, precision, tmp_path):
    settings = dcgan.Settings(**(vars(test_train.SETTINGS) | changes | {"precision": precision}))
    same_twice(
        lambda folder: dcgan.train(FACES, UNSEEN, 1.0, settings, 0, "cuda", folder, "x"), tmp_path
    )


def test_an_encoder_trains_on_a_gpu(tmp_path):
    model = test_complete.save(tmp_path, test_complete.networks(), test_complete.MODEL)
    same_twice(
        lambda folder: encoder.train(
            FACES, UNSEEN, 1.0, *model, test_encoder.SETTINGS, 0, "cuda", folder, "x"
        ),
        tmp_path,
    )


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize("optimizer", ["adam", "adadelta"])
def test_a_completion_network_trains_on_a_gpu(optimizer, precision, tmp_path):
    settings = test_glcic.settings(optimizer=optimizer, precision=precision, masks=tuple(MASKS))
    same_twice(
        lambda folder: glcic.train(FACES, UNSEEN, 1.0, settings, 0, "cuda", folder, "x"), tmp_path
    )


def searched(tmp_path, mask, **settings):
    model = test_complete.save(tmp_path, test_complete.networks(), test_complete.MODEL)
    encoder = test_complete.save_encoder(tmp_path / "encoder", model)
    faces = smooth_faces(70, 32)  # more than one batch
    names = list(map(str, range(len(faces))))
    masks = make_masks(mask, names, 32, 1.0)
    settings = test_complete.SEARCH | {"steps": 30, "target_weight": 0} | settings
    observed = observe(faces, masks)
    target = faces if settings["target_weight"] else None
    return search(names, observed, masks, *model, encoder, target, settings, 0, "cuda", [0])


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prior": 0, "contextual": "plain", "norm": "l2"},
        {"start": "encoder", "anchor": 1.0, "features": 8},
        {"start": "encoder", "features": 8, "target_weight": 0.1},
        {"optimizer": "hmc", "bounds": "tanh"},
        {"restarts": 4, "samples": 2, "bounds": "stochastic_clip", "patience": 5},
    ],
    ids=lambda settings: ",".join(settings) or "as given",
)
def test_a_recorded_search_is_the_one_without_recording(mask, settings, tmp_path, monkeypatch):
    one, two = (searched(tmp_path, mask, **settings) for _ in range(2))
    bare = []
    monkeypatch.setattr(loss, "Captured", lambda compute: bare.append(compute) or compute)
    plain = searched(tmp_path, mask, **settings)
    assert bare  # so the other two were recorded
    for other in (two, plain):
        assert np.array_equal(one.filled, other.filled)
        assert np.array_equal(one.z, other.z)
        assert one.losses.equals(other.losses)


def test_a_gpu_searches_as_a_cpu_does(tmp_path):
    """Rounding apart: the same start, the same way down."""
    model = test_complete.save(
        tmp_path, test_complete.networks(), test_complete.MODEL | {"precision": "float32"}
    )
    faces = smooth_faces(3, 32)
    masks = make_masks(MASKS[0], list("abc"), 32, 1.0)
    losses = [
        search(
            list("abc"),
            observe(faces, masks),
            masks,
            *model,
            None,
            None,
            test_complete.SEARCH,
            0,
            device,
            [0],
        ).losses["loss"]
        for device in ("cpu", "cuda")
    ]
    assert np.allclose(*losses, rtol=0.01)  # convolutions round to TF32 there
