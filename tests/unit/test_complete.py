"""Completion: what lies in the hole must not matter, known pixels stay, alone as in a batch."""

import os
import pickle

import numpy as np
import pytest
import torch

from facefill.complete import Task, masked, write_completions, write_grid
from facefill.core.blend import blend
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_file
from facefill.core.images import decode_photo
from facefill.core.masking import Masks, make_masks, observe
from facefill.core.tensors import from_unit, sample_z
from facefill.methods import BATCH
from facefill.methods.latent import Latent
from facefill.methods.latent.loss import contextual_weights
from facefill.methods.latent.search import search
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.split import choose_faces
from holes import EVERY_MASK, everywhere, noise_in_the_hole, smooth_faces
from trap import Trap
from untrained import DCGAN as MODEL
from untrained import SIZE, save, save_dcgan, save_encoder
from untrained import dcgan_networks as networks

KNOWN = make_masks({"kind": "center", "scale": 0.25}, ["a"], SIZE, 1).known[0]
SEARCH = {"steps": 12, "hmc_epsilon": 0.01, "hmc_leapfrog": 3}


@pytest.fixture
def one_thread():
    """For small networks, which more threads slow down, tenfold on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", lambda _: None)
        yield
    torch.set_num_threads(before)


@pytest.fixture
def faces(one_thread):
    return smooth_faces(6, SIZE)


@pytest.fixture
def model(one_thread, tmp_path):
    return save_dcgan(tmp_path)


@pytest.fixture
def encoder(model, tmp_path):
    """Paths of an encoder of z and of the changes of the map of side 8."""
    return save_encoder(tmp_path / "encoder", model)


def run(names, faces, model, masks=None, encoder=None, **settings):
    masks = masks or everywhere(KNOWN, len(names))
    models = {"model": model} | ({"encoder": encoder} if encoder else {})
    task = Task(names=names, observed=observe(faces, masks), masks=masks, models=models)
    return search(Latent(model="dcgan", **(SEARCH | settings)), task, [*{0, len(names) - 1}])


NAMES = list("abcdef")
BLENDS = ("none", "poisson", "seamless")


@pytest.mark.slow
@pytest.mark.parametrize("mask", EVERY_MASK)
def test_no_search_and_no_blend_sees_the_hole(faces, model, mask):
    """Replace the hidden pixels by noise: nothing may change; and known pixels stay."""
    masks = make_masks(EVERY_MASK[mask], NAMES, SIZE, 1)
    noisy = noise_in_the_hole(faces, masks)
    assert (noisy != faces)[~masks.known].any()
    seen, seen_noisy = observe(faces, masks), observe(noisy, masks)
    found = [run(NAMES, one, model, masks, steps=4) for one in (faces, noisy)]
    assert found[0].search.equals(found[1].search)
    fills = [(one.samples[:, 0], two) for one, two in zip(found, (seen, seen_noisy), strict=True)]
    for kind in BLENDS:
        one, two = (blend(kind, there, masks.known, filled) for filled, there in fills)
        assert (one == two).all(), kind
        assert (one[masks.known] == faces[masks.known]).all(), kind


WITH_ENCODER = {"start": "encoder", "anchor": 1.0, "features": 8}


@pytest.mark.slow
@pytest.mark.parametrize("mask", EVERY_MASK)
def test_no_encoder_sees_the_hole(faces, model, encoder, mask):
    masks = make_masks(EVERY_MASK[mask], NAMES, SIZE, 1)
    one, two = (
        run(NAMES, seen, model, masks, encoder, steps=4, **WITH_ENCODER)
        for seen in (faces, noise_in_the_hole(faces, masks))
    )
    assert one.search.equals(two.search)
    assert (one.samples == two.samples).all()
    others = run(NAMES, faces[::-1], model, masks, encoder, steps=4, **WITH_ENCODER)
    assert (one.samples != others.samples).any((1, 2, 3, 4)).all()  # what is known does matter


FORMS = {
    "momentum": {"optimizer": "momentum", "lr": 1e-5},
    "hmc": {"optimizer": "hmc"},
    "stochastic_clip": {"bounds": "stochastic_clip", "lr": 2.0},
    "tanh": {"bounds": "tanh"},
    "restarts and samples": {"restarts": 3, "samples": 2, "steps": 20},
    "patience": {"patience": 5, "steps": 40, "lr": 1.0},
    "no discriminator": {"prior": 0.0},
    "l2": {"norm": "l2"},
    "plain": {"contextual": "plain"},
    "last": {"keep": "last"},
    "mean": {"start": "mean"},
    "features": {"features": 8},
    "features of hmc": {"features": 8, "optimizer": "hmc"},
    "features in bounds": {"features": 4, "bounds": "stochastic_clip", "lr": 2.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_face_alone_is_completed_as_in_a_batch(faces, model, form):
    many = run(NAMES, faces, model, **FORMS[form])
    alone = run(NAMES[3:4], faces[3:4], model, **FORMS[form])
    assert (many.samples[3] == alone.samples[0]).all()
    assert (many.z[3] == alone.z[0]).all()
    assert np.isfinite(many.search[["loss", "contextual"]]).all(axis=None)


ENCODED = {
    "start, anchor and features": WITH_ENCODER,
    "start alone": {"start": "encoder", "features": 8},
    "anchor alone": {"anchor": 1.0, "features": 8, "samples": 2, "restarts": 3, "steps": 20},
    "changes alone": {"start": "mean", "features": 8},
}


@pytest.mark.slow
@pytest.mark.parametrize("form", ENCODED)
def test_a_face_alone_is_completed_with_an_encoder_as_in_a_batch(faces, model, encoder, form):
    many = run(NAMES, faces, model, encoder=encoder, **ENCODED[form])
    alone = run(NAMES[3:4], faces[3:4], model, encoder=encoder, **ENCODED[form])
    assert (many.samples[3] == alone.samples[0]).all()
    assert (many.z[3] == alone.z[0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_face_alone_is_completed_as_among_63_others(tmp_path, precision):
    """With networks as wide as the default model's, on every thread, wherever the face stands."""
    torch.manual_seed(0)
    wide = {
        "generator": Generator(64, 100, 32, 4, False),
        "discriminator": Discriminator(64, 16, 4, 0, False),
    }
    settings = MODEL | {"z_dim": 100, "generator_filters": 32, "discriminator_filters": 16}
    paths = save(tmp_path, wide, settings | {"precision": precision})
    names = [f"{number:02}" for number in range(64)]
    faces = np.random.default_rng(2).integers(0, 256, (64, 64, 64, 3)).astype(np.uint8)
    masks = make_masks(EVERY_MASK["center"], names, 64, 1)
    many = run(names, faces, paths, masks, steps=2)
    for place in (0, 31, 63):
        one = slice(place, place + 1)
        alone = run(names[one], faces[one], paths, Masks(masks.known[one]), steps=2)
        assert (many.samples[place] == alone.samples[0]).all()
        assert (many.z[place] == alone.z[0]).all()


def test_more_faces_than_a_batch(faces, model):
    names = [f"{number:03}" for number in range(BATCH + 2)]
    many = np.concatenate([faces] * 11)
    found = run(names, many, model, steps=2)
    assert found.samples.shape == (BATCH + 2, 1, SIZE, SIZE, 3)
    assert found.z.shape == (BATCH + 2, 12)
    # One watched face in either batch; the last frame shows the result.
    assert (found.progress[-1] == found.samples[[0, -1], 0]).all()
    alone = run(names[-1:], many[-1:], model, steps=2)
    assert (found.samples[-1] == alone.samples[0]).all()


def test_more_faces_than_a_batch_with_an_encoder(faces, model, encoder):
    names = [f"{number:03}" for number in range(BATCH + 2)]
    many = np.concatenate([faces] * 11)
    found = run(names, many, model, encoder=encoder, steps=2, **WITH_ENCODER)
    alone = run(names[-1:], many[-1:], model, encoder=encoder, steps=2, **WITH_ENCODER)
    assert (found.samples[-1] == alone.samples[0]).all()
    assert (found.z[-1] == alone.z[0]).all()
    # Nothing is random here: the same face under another name is completed alike.
    assert (found.samples[:60] == found.samples[6:66]).all()


def test_the_best_step_is_kept(faces, model):
    """With an absurd rate the search runs away; what is kept is still the best that was seen."""
    found = run(NAMES, faces, model, steps=31, lr=50.0)
    losses = found.search.groupby("face")["contextual"]
    assert (losses.last() > losses.min()).any()
    # The pixels are rounded, the losses are in units of [-1, 1].
    assert (_context(found.samples, faces) / 127.5 <= losses.min().to_numpy() + 1).all()


def _context(filled, faces):
    weight = contextual_weights(KNOWN[None], 7)[..., None]
    return (weight * np.abs(filled[:, 0].astype(float) - faces)).sum((1, 2, 3))


def test_a_search_that_finds_no_number_stops(faces, model):
    with pytest.raises(FacefillError, match="finite loss"):
        run(NAMES, faces, model, prior=float("nan"))


def test_the_search_finds_what_the_generator_can_make(model):
    """Also in the hole: 12 numbers are known from 768 pixels."""
    z = sample_z(6, 12, "normal", torch.Generator().manual_seed(1))
    made = from_unit(networks()["generator"].eval()(z).detach()).permute(0, 2, 3, 1).numpy()
    found = run(NAMES, made, model, steps=60, lr=0.2, restarts=4)
    losses = found.search.pivot(index="face", columns="step", values="contextual")
    assert (losses[60] < 0.1 * losses[0]).all()
    in_the_hole = np.abs(found.samples[:, 0].astype(float) - made)[:, ~KNOWN]
    assert in_the_hole.mean() < 0.1 * made.std()


@pytest.mark.slow
def test_the_prior_on_z_keeps_it_short(faces, model):
    free = run(NAMES, faces, model, steps=60)
    anchored = run(NAMES, faces, model, steps=60, z_prior=10.0)
    assert (np.linalg.norm(anchored.z, axis=1) < 0.8 * np.linalg.norm(free.z, axis=1)).all()


def test_uniform_z_stays_in_its_cube(tmp_path, faces):
    paths = save(tmp_path, networks(), MODEL | {"prior": "uniform"})
    z = run(NAMES, faces, paths, steps=40, lr=1.0).z
    assert np.abs(z).max() == 1.0


def test_weights_of_other_settings_are_refused(tmp_path, faces):
    paths = save(tmp_path, networks(), MODEL | {"generator_filters": 8})
    with pytest.raises(FacefillError, match="do not fit the settings"):
        run(NAMES, faces, paths)


def test_foreign_weights_that_would_fit_are_refused(tmp_path, faces, model):
    foreign = tmp_path / "foreign"
    save(foreign, networks(), MODEL | {"seed": 1})
    (foreign / "weights.safetensors").replace(model[0])
    with pytest.raises(FacefillError, match=r"not the weights that settings\.json"):
        run(NAMES, faces, model)


def test_settings_of_another_version_are_refused(tmp_path, faces):
    old = {key: value for key, value in MODEL.items() if key != "precision"}
    with pytest.raises(FacefillError, match="lacks 'precision', so it comes from another version"):
        run(NAMES, faces, save(tmp_path, networks(), old))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"'])
def test_damaged_settings_are_refused(faces, model, text):
    model[1].write_text(text)
    with pytest.raises(FacefillError, match=r"settings\.json: not readable settings"):
        run(NAMES, faces, model)


def test_damaged_weights_are_refused(faces, model):
    model[0].write_bytes(model[0].read_bytes()[:1000])
    with pytest.raises(FacefillError, match="not readable weights"):
        run(NAMES, faces, model)


def test_weights_are_loaded_without_executing_anything(tmp_path, faces, model):
    model[0].write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(FacefillError, match="not readable weights"):
        run(NAMES, faces, model)
    torch.save({"generator": Trap(tmp_path / "sprung")}, model[0])
    with pytest.raises(FacefillError, match="not readable weights"):
        run(NAMES, faces, model)
    assert not (tmp_path / "sprung").exists()


def test_splits_are_loaded_without_executing_anything(tmp_path):
    np.save(tmp_path / "test.npy", np.array([Trap(tmp_path / "sprung")]), allow_pickle=True)
    (tmp_path / "test.csv").write_text("face\na\n")
    with pytest.raises(FacefillError, match="not a readable array"):
        choose_faces(tmp_path / "test.npy", tmp_path / "test.csv", 1)
    assert not (tmp_path / "sprung").exists()


def test_contextual_weights_by_hand():
    center, corner = (
        make_masks({"kind": "center", "scale": scale}, ["a"], 64, 1).known[0]
        for scale in (0.25, 0.04)
    )
    weights = contextual_weights(np.stack([center, corner]), 7)
    assert (weights[0][~center] == 0).all()
    assert weights[0, 32, 15] == pytest.approx(3 * 7 / 49)  # beside it: 3 of 7 columns missing
    assert weights[0, 32, 12] == 0  # the window ends just before the hole
    assert weights[0, 13, 13] == pytest.approx(1 / 49)  # the hole's corner is the window's corner
    assert weights[1, 0, 0] == pytest.approx(4 / 16)  # at the border the window has fewer pixels


def test_with_nothing_hidden_all_pixels_count():
    assert (contextual_weights(np.ones((1, 64, 64), bool), 7) == 1).all()


def test_the_chosen_faces_do_not_depend_on_the_others(tmp_path):
    names = [f"person__{number}" for number in range(50)]
    choices = []
    for count in (50, 45):
        faces = np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(64, 1).repeat(64, 2)
        np.save(tmp_path / "test.npy", faces.repeat(3, 3))
        (tmp_path / "test.csv").write_text("face\n" + "\n".join(names[:count]) + "\n")
        chosen, pixels = choose_faces(tmp_path / "test.npy", tmp_path / "test.csv", 10)
        assert [f"person__{value}" for value in pixels[:, 0, 0, 0]] == chosen
        assert len(chosen) == 10
        choices.append(set(chosen))
    assert len(choices[0] & choices[1]) >= 5
    everything, _ = choose_faces(tmp_path / "test.npy", tmp_path / "test.csv", 1000)
    assert len(everything) == 45


def test_a_split_whose_parts_disagree_is_refused(tmp_path):
    np.save(tmp_path / "test.npy", np.zeros((3, 64, 64, 3), np.uint8))
    (tmp_path / "test.csv").write_text("face\na\nb\n")
    with pytest.raises(FacefillError, match=r"\[3, 64, 64, 3\] does not fit the 2 faces"):
        choose_faces(tmp_path / "test.npy", tmp_path / "test.csv", 10)


@pytest.mark.parametrize("size", [0, 50, 128, 5000])
def test_a_truncated_split_is_refused(tmp_path, size):
    np.save(tmp_path / "test.npy", np.zeros((3, 64, 64, 3), np.uint8))
    (tmp_path / "test.csv").write_text("face\na\nb\nc\n")
    os.truncate(tmp_path / "test.npy", size)
    with pytest.raises(FacefillError, match=r"test\.npy: not a readable array"):
        choose_faces(tmp_path / "test.npy", tmp_path / "test.csv", 3)


def test_written_completions_read_back(faces, tmp_path):
    folder = tmp_path / "faces"
    write_completions(folder, NAMES, faces[::-1])
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.png" for name in NAMES]
    back = decode_photo((folder / "a.png").read_bytes(), 10**6)
    assert (back == faces[-1]).all()
    masks = everywhere(KNOWN, len(faces))
    shown = masked(observe(faces, masks), masks)
    assert (shown[~masks.known] == 255).all()
    digests = []
    for _ in range(2):
        write_grid(tmp_path / "grid.png", NAMES, faces, shown, faces[::-1])
        digests.append(sha256_file(tmp_path / "grid.png"))
    assert digests[0] == digests[1]
