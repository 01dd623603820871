"""What every kind of model keeps to: trained twice with its `example` settings, 64-pixel faces."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from contract.examples import example, settings
from facefill.core.errors import FacefillError
from facefill.kinds import kinds
from facefill.models import Model
from facefill.train import checkpoint, weights
from facefill.train.pictures import write_plots
from holes import smooth_faces
from trainings import training

SIZE = 64
FACES, UNSEEN = smooth_faces(28, SIZE)[:24], smooth_faces(28, SIZE)[24:]
MODELS = kinds("models")
every_kind = pytest.mark.parametrize("kind", MODELS)
# Those that learn from batches, in epochs; others have a closed form.
LEARNING = [kind for kind in MODELS if "batch" in MODELS[kind].settings()]
every_learning_kind = pytest.mark.parametrize("kind", LEARNING)


pytestmark = pytest.mark.usefixtures("one_thread")


def needed(kind):
    """The kinds of the models that a kind builds on, by the settings that name them."""
    return {
        name: next(k for k, model in MODELS.items() if provides in ("", model.provides))
        for name, provides in MODELS[kind].references("models").items()
    }


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """Trains a kind's example; what it builds on is trained before: fit(kind, folder, changes)."""

    @cache
    def saved(kind):
        folder = tmp_path_factory.mktemp(kind)
        paths = folder / "weights.safetensors", folder / "settings.json"
        trained = fit(kind, folder / "checkpoints")
        weights.save(*paths, trained.networks, settings("models", kind) | trained.facts)
        return paths

    def fit(kind, folder, changes=None, **given):
        models = {name: saved(other) for name, other in needed(kind).items()}
        task = training(FACES, UNSEEN, folder, models=models, **given)
        return example("models", kind, **changes or {}).train(task)

    fit.saved = saved
    return fit


@pytest.fixture(scope="module")
def twice(fit, tmp_path_factory):
    """Two trainings of a kind, done once."""
    return cache(lambda kind: [fit(kind, tmp_path_factory.mktemp("twice")) for _ in range(2)])


def tensors(trained):
    """All weights of a training's networks, by network and name."""
    states = {name: network.state_dict() for name, network in trained.networks.items()}
    return {(name, k): tensor for name, state in states.items() for k, tensor in state.items()}


def same(one, two):
    """Whether two trainings end with equal weights, samples and history."""
    return (
        tensors(one).keys() == tensors(two).keys()
        and all(torch.equal(tensor, tensors(two)[name]) for name, tensor in tensors(one).items())
        and all(map(np.array_equal, one.samples, two.samples))
        and one.history.equals(two.history)
    )


@every_kind
def test_it_says_what_the_report_shows(kind):
    assert set(MODELS[kind].captions) == {"losses", "samples", "gif"}
    assert all(text.endswith(".") for text in MODELS[kind].captions.values())


@every_kind
@pytest.mark.slow
def test_it_leaves_what_the_files_need(kind, twice, tmp_path):
    trained, model = twice(kind)[0], example("models", kind)
    assert isinstance(model, Model)
    epochs = len(trained.samples) - 1
    if kind in LEARNING:
        assert trained.history["epoch"].tolist() == list(range(1, epochs + 1))
        assert trained.history["step"].is_monotonic_increasing
    assert len(trained.history) and 1 <= trained.epoch <= epochs
    assert {(sheet.dtype, sheet.ndim, sheet.shape[2]) for sheet in trained.samples} == {
        (np.dtype(np.uint8), 3, 3)
    }
    assert len({sheet.shape for sheet in trained.samples}) == 1  # they become one GIF
    assert trained.images > 0 and list(trained.events.iterdir())
    json.dumps(trained.facts)
    assert all(isinstance(text, str) for text in trained.facts.get("warnings", []))
    write_plots(tmp_path / "losses.png", trained.history, model.plots, trained.drawings)
    with Image.open(tmp_path / "losses.png") as png:
        assert np.asarray(png).std() > 1


@every_kind
@pytest.mark.slow
def test_equal_seeds_equal_results(kind, twice, fit, tmp_path):
    assert same(*twice(kind))
    if kind in LEARNING:
        assert not same(twice(kind)[0], fit(kind, tmp_path, seed=1))


@every_learning_kind
@pytest.mark.slow
def test_an_interrupted_training_ends_alike(kind, twice, fit, tmp_path, monkeypatch):
    whole = twice(kind)[0]  # first: what the kind builds on is trained for it
    save = checkpoint.save

    def save_then_die(file, state):
        save(file, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", save_then_die)
        fit(kind, tmp_path)
    resumed = fit(kind, tmp_path)
    assert resumed.images < whole.images
    assert same(resumed, whole)


def another(name, value, entry):
    """Another value than `value` of a setting with this schema, which need not make sense."""
    choices = [choice for choice in entry.get("enum", []) if choice != value]
    if choices:
        return choices[0]
    if isinstance(value, tuple):
        return (*value, "another")
    return f"{value} another" if isinstance(value, str) else (value or 0) + 1


@every_kind
def test_a_checkpoint_of_other_settings_is_another_file(kind, tmp_path):
    """Every setting counts, and what the training is given."""
    model, task = example("models", kind), training(FACES, UNSEEN, tmp_path)
    file = checkpoint.checkpoint_file(task, model)
    assert checkpoint.checkpoint_file(task, example("models", kind)) == file
    properties = type(model).schema()["properties"]
    others = [
        checkpoint.checkpoint_file(
            task, replace(model, **{name: another(name, getattr(model, name), entry)})
        )
        for name, entry in properties.items()
    ]
    for changes in ({"seed": 1}, {"zoom": 1.2}, {"fingerprint": "y"}):
        others.append(checkpoint.checkpoint_file(replace(task, **changes), model))
    assert len({file, *others}) == 1 + len(others)


@every_learning_kind
@pytest.mark.slow
def test_too_few_faces_are_refused(kind, fit, tmp_path):
    with pytest.raises(FacefillError, match="24 faces, fewer than one batch of 25"):
        fit(kind, tmp_path, {"batch": 25})


@every_kind
def test_it_estimates_its_work(kind):
    """And that of what it provides: more for larger faces."""
    models = {getattr(example("models", kind), name): k for name, k in needed(kind).items()}
    models = {name: settings("models", other) for name, other in models.items()}
    model = example("models", kind)
    works = [
        model.work({"align": {"size": size}, "models": models | {"it": settings("models", kind)}})
        for size in (64, 128)
    ]
    assert 0 < works[0] < works[1]
    estimates = {
        "generator": (model.generator_work, model.discriminator_work),
        "completion": (model.completion_work,),
    }
    for estimate in estimates.get(MODELS[kind].provides, ()):
        assert 0 < estimate(64) < estimate(128)


@every_kind
def test_its_example_fits(kind):
    models = {getattr(example("models", kind), name): k for name, k in needed(kind).items()}
    models = {name: settings("models", other) for name, other in models.items()}
    config = {"align": {"size": SIZE, "zoom": 1.0}, "models": models}
    example("models", kind).check(f"models.{kind}", config)
    example("models", kind).check_used(f"models.{kind}", config)


@pytest.mark.parametrize("kind", [k for k, model in MODELS.items() if "masks" in model.settings()])
@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ({"kind": "full"}, "is of kind full, which nothing can be learnt from; list others"),
        ({"kind": "file", "path": "a.png"}, "is of kind file, which nothing can be learnt from"),
        ({"kind": "lowres", "factor": 7}, "factor is 7, expected a divisor of the face's 64"),
    ],
)
def test_masks_that_teach_nothing_are_refused(kind, mask, says):
    model = example("models", kind, masks=({"kind": "center", "scale": 0.25}, mask))
    with pytest.raises(FacefillError) as caught:
        model.check_used("models.it", {"align": {"size": SIZE, "zoom": 1.0}})
    assert str(caught.value).startswith("config: models.it.masks.1") and says in str(caught.value)


@pytest.mark.parametrize("kind", [k for k, m in MODELS.items() if m.provides == "completion"])
@pytest.mark.slow
def test_a_trained_completion_network_is_loaded_ready(kind, fit):
    network, compute = MODELS[kind].load_completion(*fit.saved(kind), SIZE, "cpu")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    with compute.autocast():
        faces = network(torch.rand(2, 3, SIZE, SIZE) * 2 - 1, torch.ones(2, 1, SIZE, SIZE))
    assert faces.shape == (2, 3, SIZE, SIZE) and faces.abs().max() <= 1
    _, settings_file = fit.saved(kind)
    with pytest.raises(FacefillError, match="not readable weights"):
        MODELS[kind].load_completion(settings_file, settings_file, SIZE, "cpu")
