"""What an encoder says of faces: of each by itself, from what is known, for one generator only."""

import json

import numpy as np
import pytest
import torch
from test_complete import (
    EVERY_MASK,
    MODEL,
    NAMES,
    SIZE,
    encoder,  # noqa: F401
    faces,  # noqa: F401
    model,  # noqa: F401
    networks,
    noise_in_the_hole,
    one_thread,  # noqa: F401
    run,
    save,
    save_encoder,
)

from facefill.complete import Task
from facefill.core import device
from facefill.core.errors import FacefillError
from facefill.core.masking import Masks, make_masks, observe
from facefill.methods.latent.prediction import ENCODER_SETTINGS, predict

# ruff: noqa: F811


def predicted(observed, masks, model, encoder, batch=8, precision="auto", layout="auto"):
    task = Task(
        names=NAMES[: len(observed)],
        observed=observed,
        masks=masks,
        models={"model": model, "encoder": encoder},
    )
    compute = device.choose("cpu", precision, layout)
    return predict(task, json.loads(model[1].read_text()), compute, batch)


def masks_of(mask="center"):
    return make_masks(EVERY_MASK[mask], NAMES, SIZE, 1)


def equal(one, other):
    return torch.equal(one.z, other.z) and torch.equal(one.changes, other.changes)


def differ(one, other):
    """Every face's z and changes."""
    changes = (one.changes != other.changes).flatten(1)
    return bool((one.z != other.z).any(1).all() and changes.any(1).all())


def test_what_is_predicted(faces, model, encoder):
    found = predicted(faces, masks_of(), model, encoder)
    assert found.z.shape == (6, 12) and found.z.dtype == torch.float32
    assert found.changes.shape == (6, 4 * SIZE // 16, 8, 8)
    assert found.changes.dtype == torch.float32
    assert found.z.std(0).min() > 0.01 and found.changes.std() > 0.01  # something to see
    assert not found.z.requires_grad and not found.changes.requires_grad


@pytest.mark.parametrize("mask", EVERY_MASK)
def test_what_is_hidden_does_not_matter(faces, model, encoder, mask):
    """Even where somebody hands it over: it is the encoder's input that is masked."""
    masks = masks_of(mask)
    noisy = noise_in_the_hole(faces, masks)
    assert (noisy != faces)[~masks.known].any()
    if not masks.block:
        one, two = (predicted(seen, masks, model, encoder) for seen in (faces, noisy))
        assert equal(one, two)
    one, two = (predicted(observe(seen, masks), masks, model, encoder) for seen in (faces, noisy))
    assert equal(one, two)


@pytest.mark.parametrize("mask", EVERY_MASK)
def test_what_is_known_matters(faces, model, encoder, mask):
    masks = masks_of(mask)
    one, two = (
        predicted(observe(seen, masks), masks, model, encoder) for seen in (faces, 255 - faces)
    )
    assert differ(one, two)


def test_the_mean_colours_of_blocks_are_all_that_is_known_of_lowres(faces, model, encoder):
    """So it may see the picture itself, of whose means it makes the same."""
    masks = masks_of("lowres")
    even = faces // 64 * 64  # of whole means
    even = even[:, ::8, ::8].repeat(8, axis=1).repeat(8, axis=2)
    ripples = np.where(np.indices((SIZE, SIZE)).sum(0) % 2, 7, -7)[..., None]
    rippled = (even.astype(int).clip(7, 248) + ripples).astype(np.uint8)
    even = even.clip(7, 248)
    one, two = (predicted(seen, masks, model, encoder) for seen in (even, rippled))
    assert torch.allclose(one.z, two.z, atol=1e-3)
    assert torch.allclose(one.changes, two.changes, atol=1e-2)


def test_where_the_hole_is_matters(model, encoder):
    """A known pixel of medium grey is not a hidden one."""
    grey = np.full((6, SIZE, SIZE, 3), 127, np.uint8)
    known = np.ones((6, SIZE, SIZE), bool)
    one, two = (predicted(grey, seen, model, encoder) for seen in (masks_of(), Masks(known)))
    shift = (one.z - two.z).abs().max()
    shown = np.where(masks_of().known[..., None], grey, 128)  # as far off as grey is from 0
    control = predicted(shown, Masks(known), model, encoder)
    assert shift > 5 * (control.z - two.z).abs().max()


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("layout", [False, True])
def test_a_face_alone_is_predicted_as_in_a_batch(faces, model, encoder, precision, layout):
    masks = masks_of("freeform")
    settings = {"precision": precision, "layout": layout}
    many = predicted(faces, masks, model, encoder, **settings)
    for place in range(6):
        one = slice(place, place + 1)
        alone = predicted(faces[one], Masks(masks.known[one]), model, encoder, **settings)
        assert torch.equal(many.z[one], alone.z)
        assert torch.equal(many.changes[one], alone.changes)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 6])
def test_batches_are_filled_and_put_together(faces, model, encoder, count):
    masks = masks_of("random")
    some = predicted(faces[:count], Masks(masks.known[:count]), model, encoder, batch=4)
    everything = predicted(faces, masks, model, encoder, batch=4)
    assert len(some.z) == len(some.changes) == count
    assert torch.equal(some.z, everything.z[:count])
    assert torch.equal(some.changes, everything.changes[:count])


def test_an_encoder_of_z_alone(faces, model, tmp_path):
    found = predicted(
        faces, masks_of(), model, save_encoder(tmp_path / "encoder", model, features=0)
    )
    assert found.z.shape == (6, 12)
    assert found.changes is None


def test_no_prediction_leaves_a_uniform_priors_cube(faces, tmp_path, one_thread):
    for prior, inside in (("uniform", True), ("normal", False)):
        model = save(tmp_path, networks(), MODEL | {"prior": prior})
        encoder = save_encoder(tmp_path / prior, model)
        weights_of(encoder, lambda name, tensor: tensor * (50 if name.startswith("z.") else 1))
        found = predicted(faces, masks_of(), model, encoder)
        assert bool(found.z.abs().max() <= 1) == inside
        assert found.z.abs().max() > 0.9


def weights_of(paths, change):
    """Change an encoder's weights in place."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(paths[0], framework="pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changed = {
        name: change(name.removeprefix("encoder."), tensor) for name, tensor in tensors.items()
    }
    save_file(changed, paths[0], metadata=header)


def test_an_encoder_of_another_generator_is_refused(faces, model, tmp_path):
    """The same settings, other weights: its predictions would mean nothing."""
    encoder = save_encoder(tmp_path / "encoder", model, generator_sha256="0" * 64)
    line = refused(faces, model, encoder)
    assert line == (
        f"{encoder[0]}: trained for another generator than {model[0]}; delete "
        f"{tmp_path / 'encoder'} and run again to train it anew"
    )


def test_a_generator_trained_anew_is_another_one(faces, model, encoder):
    assert run(NAMES, faces, model, encoder=encoder, steps=1).z.shape == (6, 12)
    parts = networks()
    parts["generator"].project.weight.data[0, 0] += 1
    save(model[0].parent, parts, MODEL)
    assert "trained for another generator" in refused(faces, model, encoder)


@pytest.mark.parametrize("key", ENCODER_SETTINGS)
def test_an_encoder_of_another_version_is_refused(faces, model, encoder, key):
    settings = json.loads(encoder[1].read_text())
    del settings[key]
    encoder[1].write_text(json.dumps(settings))
    line = refused(faces, model, encoder)
    assert line == (
        f"{encoder[1]}: lacks {key!r}, so it comes from another version of facefill; delete "
        f"{encoder[1].parent} and run again to train it anew"
    )


def test_settings_that_do_not_belong_to_the_weights_are_refused(faces, model, encoder):
    settings = json.loads(encoder[1].read_text())
    encoder[1].write_text(json.dumps(settings | {"epochs": 99}))
    assert "not the weights that settings.json" in refused(faces, model, encoder)


def test_an_encoder_that_does_not_fit_its_settings_is_refused(faces, model, tmp_path):
    """One of z of another length."""
    other = tmp_path / "other"
    other.mkdir()
    longer = networks()
    paths = save(other, longer, MODEL | {"z_dim": 13})
    encoder = save_encoder(tmp_path / "encoder", paths, generator_sha256=json_sha(model, tmp_path))
    assert "do not fit the settings" in refused(faces, model, encoder)


def json_sha(model, folder):
    """What an encoder of `model` has in its settings.json."""
    return json.loads(save_encoder(folder / "any", model)[1].read_text())["generator_sha256"]


@pytest.mark.parametrize("size", [0, 9, 1000])
def test_damaged_weights_of_an_encoder_are_refused(faces, model, encoder, size):
    encoder[0].write_bytes(encoder[0].read_bytes()[:size])
    line = refused(faces, model, encoder)
    assert "not readable weights" in line and str(encoder[0]) in line


def refused(faces, model, encoder):
    """The one line that ends a search with this encoder."""
    with pytest.raises(FacefillError) as caught:
        run(NAMES, faces, model, encoder=encoder, start="encoder", steps=1)
    line = str(caught.value)
    assert line.isprintable()
    assert "run again to train it anew" in line
    return line
