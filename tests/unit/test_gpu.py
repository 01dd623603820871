"""On a GPU: trainings and searches run there at all, and give the same bytes twice.

PyTorch refuses what is not deterministic only where it computes on a GPU, so these tests are the
only ones that see it.
"""

import numpy as np
import pytest
import torch
from test_complete import SEARCH
from test_flow import symmetric_normal

import trainings
from contract.examples import example
from facefill.complete import Task
from facefill.core.masking import make_masks, observe
from facefill.methods.flow import fill
from facefill.methods.latent import Latent, loss
from facefill.methods.latent.search import search
from facefill.models.flow.analogs import FEWEST
from holes import smooth_faces
from untrained import save_dcgan, save_encoder, save_flow, save_gaussian

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

FACES, UNSEEN = smooth_faces(20, 32), smooth_faces(3, 32)
MASKS = [{"kind": "center", "scale": 0.25}, {"kind": "lowres", "factor": 8}]


def state(trained):
    return [value.cpu() for one in trained.networks.values() for value in one.state_dict().values()]


def same_twice(kind, folder, **changes):
    """Train twice in folders of their own; return what the second one made."""
    one, two = (
        trainings.fit(kind, FACES, UNSEEN, folder / name, device="cuda", **changes)
        for name in ("one", "two")
    )
    assert all(map(torch.equal, state(one), state(two)))
    return two


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"antialias": True, "kernel": 5, "fully_connected": 8, "validation_faces": 3},
        {"loss": "hinge", "spectral_norm": True, "r1": 1.0, "augment": ("color", "translation")},
        {"loss": "rpgan", "r1": 1.0, "r2": 1.0, "blocks": "residual", "validation_faces": 3},
    ],
)
def test_a_dcgan_trains_on_a_gpu(changes, precision, tmp_path):
    same_twice("dcgan", tmp_path, precision=precision, generator_steps=2, **changes)


def test_an_encoder_trains_on_a_gpu(tmp_path):
    models = {"generator": save_dcgan(tmp_path / "generator")}
    same_twice("encoder", tmp_path, models=models, masks=tuple(MASKS))


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize("optimizer", ["adam", "adadelta"])
def test_a_completion_network_trains_on_a_gpu(optimizer, precision, tmp_path):
    changes = {"optimizer": optimizer, "precision": precision, "masks": tuple(MASKS)}
    same_twice("glcic", tmp_path, schedule="cosine", ema=0.5, **changes)


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_means_of_a_flow_train_on_a_gpu(precision, tmp_path):
    models = {"flow": save_flow(tmp_path / "flow", precision=precision)}
    same_twice("flow_identity", tmp_path, models=models, masks=tuple(MASKS))


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_flow_trains_on_a_gpu(precision, tmp_path, monkeypatch):
    monkeypatch.setattr("facefill.models.flow.training.FEWEST", 8)  # so that it has analogs
    monkeypatch.setattr("facefill.models.flow.correction.CORRECTION_BATCH", 8)  # and steps
    models = {"guess": save_gaussian(tmp_path / "gaussian", symmetric_normal(32, 12))}
    trained = same_twice("flow", tmp_path, models=models, precision=precision, masks=tuple(MASKS))
    assert trained.networks["correction"].learnt


@pytest.mark.parametrize("mask", [*MASKS, {"kind": "random", "hidden": 0.8, "seed": 1}])
@pytest.mark.parametrize("corrects", [True, False])
def test_a_flow_completes_on_a_gpu(corrects, mask, tmp_path):
    faces, names = smooth_faces(FEWEST, 32), list(map(str, range(4)))
    masks = make_masks(mask, names, 32, 1.0)
    task = Task(
        names=names,
        observed=observe(faces[:4], masks),
        masks=masks,
        models={"model": save_flow(tmp_path / "flow", symmetric_normal(32, 12), corrects)},
        train=faces,
        device="cuda",
    )
    for draws in ("analogs", "normal"):
        settings = example("methods", "flow", draws=draws, samples=2)
        assert all(map(np.array_equal, *(fill.samples(task, settings) for _ in range(2))))
    assert np.array_equal(*(fill.means(task, mirror=True) for _ in range(2)))


def searched(tmp_path, mask, device="cuda", count=70, precision="auto", **settings):
    """Search for `count` faces: 70 are more than one batch."""
    model = save_dcgan(tmp_path / "model", precision=precision)
    faces, names = smooth_faces(count, 32), list(map(str, range(count)))
    masks = make_masks(mask, names, 32, 1.0)
    task = Task(
        names=names,
        observed=observe(faces, masks),
        masks=masks,
        models={"model": model, "encoder": save_encoder(tmp_path / "encoder", model)},
        targets={"target": faces} if "target_weight" in settings else {},
        device=device,
    )
    return search(Latent(model="dcgan", **(SEARCH | {"steps": 30} | settings)), task, [0])


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
        assert np.array_equal(one.samples, other.samples)
        assert np.array_equal(one.z, other.z)
        assert one.search.equals(other.search)


def test_a_gpu_searches_as_a_cpu_does(tmp_path):
    """But for rounding: from the same start to the same losses."""
    losses = [
        searched(tmp_path, MASKS[0], device, 3, "float32", steps=12).search["loss"]
        for device in ("cpu", "cuda")
    ]
    assert np.allclose(*losses, rtol=0.01)  # convolutions round to TF32 there
