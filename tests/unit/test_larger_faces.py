"""Faces of more than 64 pixels."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract.examples import example, settings
from facefill.complete import Task, write_grid
from facefill.core.masking import make_masks, observe
from facefill.kinds import kinds
from facefill.models.gaussian import fitting
from facefill.models.gaussian import normal as normals
from facefill.train import weights
from holes import everywhere, smooth_faces
from trainings import training
from untrained import normal

SIZE = 256
NAMES = ["Ann__1", "Bob__1"]
MODELS, METHODS = kinds("models"), kinds("methods")
CENTER = {"kind": "center", "scale": 0.25}
LOWRES = {"kind": "lowres", "factor": 32}
# The shortest training of every kind of model that uses all of its networks.
SHORT = {
    "dcgan": {"epochs": 1, "validation_faces": 2},
    "encoder": {"epochs": 1, "masks": [CENTER, LOWRES]},
    "glcic": {"reconstruction_epochs": 0, "discriminator_epochs": 0, "masks": [CENTER, LOWRES]},
    "gaussian": {"masks": [CENTER, LOWRES]},
    "flow": {"epochs": 1, "masks": [CENTER, LOWRES]},
    "flow_identity": {"epochs": 1, "masks": [CENTER, LOWRES]},
}

# The first kind of those that provide something: another one may build on it.
PROVIDING = {model.provides: kind for kind, model in reversed(MODELS.items())}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("size", [64, 128])
def test_a_sheet_of_larger_faces_has_no_more_pixels(size, tmp_path):
    """Small faces are doubled to be seen."""
    faces = smooth_faces(2, size)
    write_grid(tmp_path / "grid.png", NAMES, faces, faces, faces)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width == 4 * (3 * 128 + 2 * 2) + 3 * 8


def test_values_that_do_not_fit_into_memory_at_once_give_the_same(monkeypatch):
    """Of gaussian's components, of which only a part is in double precision at a time."""
    made, faces = normal(8, 5), smooth_faces(3, 8)
    known = everywhere(np.arange(64).reshape(8, 8) < 24, 3)

    def computed():
        z = made.project(observe(faces, known), known.known, 0)
        scores = fitting.psnr_by_noise(made, faces, known.known[0], 0, 500.0)
        return z, made.faces(z / z.abs().max()), torch.tensor(scores)

    whole = computed()
    monkeypatch.setattr(normals, "PART", 50)
    for once, by_parts in zip(whole, computed(), strict=True):
        torch.testing.assert_close(by_parts, once)


# -- 256 pixels through all models and methods -------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The files of a trained model by its kind; what it builds on is trained before."""
    faces, unseen = smooth_faces(12, SIZE)[:8], smooth_faces(12, SIZE)[8:]

    @cache
    def trained(kind: str) -> tuple[Path, Path]:
        folder, model = tmp_path_factory.mktemp(kind), MODELS[kind]
        models = {name: trained(PROVIDING[it]) for name, it in model.references("models").items()}
        task = training(faces, unseen, folder, models=models)
        result = example("models", kind, **SHORT[kind]).train(task)
        assert result.samples[0].shape[0] >= SIZE
        paths = folder / "weights.safetensors", folder / "settings.json"
        weights.save(
            *paths, result.networks, settings("models", kind, **SHORT[kind]) | result.facts
        )
        return paths

    return trained


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(METHODS.keys() - {"external"}))
def test_every_method_completes_256_pixels(kind, trained):
    faces, declared, changes = smooth_faces(2, SIZE), METHODS[kind], {}
    if kind == "latent":
        changes = {"steps": 1, "encoder": "encoder", "start": "encoder", "features": 8}
    method = example("methods", kind, **changes)
    used = {name: trained(PROVIDING[it]) for name, it in declared.references("models").items()}
    for mask in [CENTER, LOWRES] if used else [CENTER]:
        masks = make_masks(mask, NAMES, SIZE, 1.0)
        task = Task(
            names=NAMES,
            observed=observe(faces, masks),
            masks=masks,
            models=used,
            train=faces if declared.needs_train else None,
        )
        completed = method.complete(task).faces
        assert completed.dtype == np.uint8 and completed.shape == faces.shape
