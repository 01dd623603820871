"""One forward pass: what is hidden does not matter, alone as in a batch, damaged models refused."""

import json

import numpy as np
import pytest
import torch
from test_complete import NAMES, faces, one_thread  # noqa: F401

from facefill.complete import Task
from facefill.core.batches import batches
from facefill.core.blend import blend
from facefill.core.device import choose
from facefill.core.errors import FacefillError
from facefill.core.masking import Masks, make_masks, observe
from facefill.core.observed import observed_by_network
from facefill.core.tensors import from_unit, to_unit
from facefill.methods.feedforward import Feedforward
from facefill.methods.feedforward import fill as feedforward
from facefill.methods.telea import Telea
from facefill.models.glcic.networks import CompletionNetwork
from holes import EVERY_MASK, noise_in_the_hole
from untrained import GLCIC, SIZE, completion_network, save_glcic

# ruff: noqa: F811


@pytest.fixture
def model(one_thread, tmp_path):
    return save_glcic(tmp_path / "model")


def task(observed, masks, model):
    return Task(
        names=NAMES[: len(observed)], observed=observed, masks=masks, models={"model": model}
    )


def complete(observed, masks, model, mirror=False):
    """What the network makes, before it is blended."""
    return feedforward.complete_faces(task(observed, masks, model), mirror)


def masks_of(mask):
    return make_masks(EVERY_MASK[mask], NAMES, SIZE, 1)


@pytest.mark.slow
@pytest.mark.parametrize("mask", EVERY_MASK)
def test_it_is_what_the_network_makes(faces, model, mask):
    masks = masks_of(mask)
    unit = to_unit(torch.from_numpy(observe(faces, masks)).permute(0, 3, 1, 2))
    with torch.no_grad():
        made = completion_network()(
            *observed_by_network(unit, torch.from_numpy(masks.known)[:, None], masks.block)
        )
    expected = from_unit(made).permute(0, 2, 3, 1).numpy().astype(int)
    found = complete(observe(faces, masks), masks, model)
    assert found.shape == faces.shape and found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1
    assert found.std() > 5  # something to see


def test_with_its_mirror_image_it_is_the_mean_of_both(faces, model):
    masks = masks_of("half")
    observed = observe(faces, masks)
    other = Masks(masks.known[:, :, ::-1].copy())
    alone = complete(observed, masks, model).astype(int)
    turned = complete(observed[:, :, ::-1].copy(), other, model)[:, :, ::-1]
    both = complete(observed, masks, model, True)
    assert np.abs(both - (alone + turned) / 2).max() <= 1
    assert np.abs(both - alone).max() > 5
    mirrored = complete(observed[:, :, ::-1].copy(), other, model, True)
    assert np.abs(mirrored[:, :, ::-1].astype(int) - both).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("mask", EVERY_MASK)
def test_what_is_hidden_does_not_matter(faces, model, mask):
    """Even where somebody hands it over: it is the network's input that is masked."""
    masks = masks_of(mask)
    noisy = noise_in_the_hole(faces, masks)
    assert (noisy != faces)[~masks.known].any()
    if not masks.block:
        one, two = (complete(seen, masks, model) for seen in (faces, noisy))
        assert (one == two).all()
    one, two = (complete(observe(seen, masks), masks, model) for seen in (faces, noisy))
    assert (one == two).all()
    other = complete(observe(255 - faces, masks), masks, model)
    assert (one != other).any((1, 2, 3)).all()


def test_where_the_hole_is_matters(faces, model):
    masks = masks_of("center")
    shown = np.where(masks.known[..., None], faces, np.uint8(128))
    everything = Masks(np.ones_like(masks.known))
    one, two = (complete(shown, seen, model) for seen in (masks, everything))
    assert (one != two).any()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", [False, True])
def test_a_face_alone_is_completed_as_in_a_batch(faces, tmp_path, precision, layout, one_thread):
    model = save_glcic(tmp_path / "m", precision=precision, channels_last=layout)
    masks = masks_of("freeform")
    many = complete(faces, masks, model)
    for place in range(len(faces)):
        one = slice(place, place + 1)
        assert (complete(faces[one], Masks(masks.known[one]), model) == many[one]).all()


@pytest.mark.parametrize("count", [1, 3, 4, 5, 6])
def test_batches_are_filled_and_put_together(faces, model, monkeypatch, count):
    monkeypatch.setattr(feedforward, "BATCH", 4)
    masks = masks_of("random")
    everything = complete(faces, masks, model)
    some = complete(faces[:count], Masks(masks.known[:count]), model)
    assert (some == everything[:count]).all()


def test_batches_have_one_size_and_one_layout():
    rows = torch.arange(5 * 3 * 4).view(5, 3, 2, 2).float()
    found = list(batches([rows, rows[:, :1]], 2, choose("cpu", "float32", True)))
    assert [count for _, count in found] == [2, 2, 1]
    assert all(len(part) == 2 for parts, _ in found for part in parts)
    assert torch.equal(torch.cat([parts[0][:count] for parts, count in found]), rows)
    assert torch.equal(found[-1][0][0], rows[[4, 4]])
    assert found[0][0][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("key", GLCIC)
def test_a_model_of_another_version_is_refused(faces, model, key):
    settings = json.loads(model[1].read_text())
    del settings[key]
    model[1].write_text(json.dumps(settings))
    assert f"lacks {key!r}, so it comes from another version" in refused(faces, model)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda paths: paths[0].write_bytes(paths[0].read_bytes()[:-9]), "not readable weights"),
        (lambda paths: paths[0].unlink(), "not readable weights"),
        (lambda paths: paths[1].write_text("{"), "not readable settings"),
        (lambda paths: save_glcic(paths[0].parent, CompletionNetwork(SIZE, 0.3)), "do not fit"),
    ],
)
def test_a_damaged_model_is_refused(faces, model, damage, words):
    damage(model)
    assert words in refused(faces, model)


def refused(faces, model):
    with pytest.raises(FacefillError) as caught:
        complete(faces, masks_of("center"), model)
    line = str(caught.value)
    assert line.isprintable() and "run again to train it anew" in line
    return line


# Iizuka et al.'s post-processing: Telea's fill, onto which the network's is cloned.


@pytest.mark.parametrize("mask", ["center", "half", "freeform"])
def test_a_start_changes_seamless_cloning_alone(faces, mask):
    masks = masks_of(mask)
    observed = observe(faces, masks)
    start = Telea(radius=1).fill(observed * masks.known[..., None], masks.known)
    filled = 255 - faces
    for kind in ("none", "poisson", "seamless"):
        one, two = (blend(kind, observed, masks.known, filled, first) for first in (None, start))
        assert (one != two).any() == (kind == "seamless")
        assert (two[masks.known] == faces[masks.known]).all()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["none", "poisson", "seamless"])
@pytest.mark.parametrize("start", ["none", "telea"])
def test_the_method_blends_what_the_network_makes(faces, model, mode, start):
    masks = masks_of("center")
    observed = observe(faces, masks)
    method = Feedforward(model="glcic", blend=mode, start=start)
    first = None
    if start == "telea":
        first = Telea(radius=1).fill(observed * masks.known[..., None], masks.known)
    expected = blend(mode, observed, masks.known, complete(observed, masks, model), first)
    assert (method.complete(task(observed, masks, model)).faces == expected).all()


def test_onto_a_start_that_is_right_the_right_fill_is_cloned():
    y, x = np.mgrid[:SIZE, :SIZE]
    ramp = np.stack([60 + 4 * y, 60 + 4 * x, 100 + y + x], -1).astype(np.uint8)[None]
    masks = make_masks(EVERY_MASK["center"], ["a"], SIZE, 1)
    observed = observe(ramp, masks)
    completed = blend("seamless", observed, masks.known, ramp, ramp)
    assert np.abs(completed.astype(int) - ramp).max() <= 2
    shifted = blend("seamless", observed, masks.known, ramp + 30, ramp)
    assert np.abs(shifted.astype(int) - ramp).max() <= 8  # the constant is gone
