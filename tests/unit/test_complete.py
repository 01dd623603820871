"""Completion: what lies in the hole must not matter, known pixels stay, alone as in a batch."""

import os
import pickle

import numpy as np
import pytest
import torch

from facefill.complete.classical import mean_face, telea
from facefill.complete.faces import choose_faces, fill, write_completions
from facefill.complete.latent import BATCH, contextual_weights, search
from facefill.errors import FacefillError
from facefill.files import sha256_file
from facefill.images import decode_photo
from facefill.masks import make_mask
from facefill.train import weights
from facefill.train.networks import Discriminator, Generator
from trap import Trap

MASK = make_mask({"kind": "center", "scale": 0.25}, 64)
MODEL = {
    "z_dim": 12,
    "prior": "normal",
    "generator_filters": 4,
    "discriminator_filters": 4,
    "kernel": 4,
    "fully_connected": 0,
    "precision": "auto",
    "channels_last": "auto",
}
SEARCH = {
    "steps": 12,
    "lr": 0.05,
    "contextual": "weighted",
    "window": 7,
    "prior": 0.003,
    "z_prior": 0,
}


@pytest.fixture
def faces():
    """Smooth random pictures: uint8 [6, 64, 64, 3]."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (6, 4, 4, 3))
    return coarse.repeat(16, axis=1).repeat(16, axis=2).astype(np.uint8)


def networks():
    torch.manual_seed(0)
    generator = Generator(64, 12, 4, 4)
    for parameter in generator.parameters():
        parameter.data *= 8  # untrained, but with something to see
    return {"generator": generator, "discriminator": Discriminator(64, 4, 4, 0)}


@pytest.fixture
def model(tmp_path):
    return save(tmp_path, networks(), MODEL)


def save(folder, networks, settings):
    paths = folder / "weights.safetensors", folder / "settings.json"
    weights.save(*paths, networks, settings)
    return paths


def noise_in_the_hole(faces):
    noise = np.random.default_rng(1).integers(0, 256, faces.shape).astype(np.uint8)
    return np.where(MASK[:, :, None], faces, noise)


def run(names, faces, model, **settings):
    return search(names, faces, MASK, *model, SEARCH | settings, 0, "cpu", [0, len(names) - 1])


NAMES = list("abcdef")


def test_search_never_sees_the_hole(faces, model):
    one = run(NAMES, faces, model)
    two = run(NAMES, noise_in_the_hole(faces), model)
    assert (one.filled == two.filled).all()
    assert one.losses.equals(two.losses)


def test_a_face_alone_is_completed_as_in_a_batch(faces, model):
    many = run(NAMES, faces, model)
    alone = run(NAMES[3:4], faces[3:4], model)
    assert (many.filled[3] == alone.filled[0]).all()
    assert (many.z[3] == alone.z[0]).all()


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_face_alone_is_completed_as_among_63_others(tmp_path, precision):
    """With networks as wide as the default model's, and wherever in the batch the face stands."""
    torch.manual_seed(0)
    wide = {
        "generator": Generator(64, 100, 32, 4),
        "discriminator": Discriminator(64, 16, 4, 0),
    }
    settings = MODEL | {"z_dim": 100, "generator_filters": 32, "discriminator_filters": 16}
    paths = save(tmp_path, wide, settings | {"precision": precision})
    names = [f"{number:02}" for number in range(64)]
    faces = np.random.default_rng(2).integers(0, 256, (64, 64, 64, 3)).astype(np.uint8)
    many = run(names, faces, paths, steps=2)
    for place in (0, 31, 63):
        alone = run(names[place : place + 1], faces[place : place + 1], paths, steps=2)
        assert (many.filled[place] == alone.filled[0]).all()
        assert (many.z[place] == alone.z[0]).all()


def test_more_faces_than_a_batch(faces, model):
    names = [f"{number:03}" for number in range(BATCH + 2)]
    many = np.concatenate([faces] * 11)
    found = run(names, many, model, steps=2)
    assert found.filled.shape == (BATCH + 2, 64, 64, 3)
    assert found.z.shape == (BATCH + 2, 12)
    # One watched face in either batch; the last frame shows the result.
    assert (found.frames[-1] == found.filled[[0, -1]]).all()
    alone = run(names[-1:], many[-1:], model, steps=2)
    assert (found.filled[-1] == alone.filled[0]).all()


def test_the_best_step_is_kept(faces, model):
    """With an absurd rate the search runs away; what is kept is still the best that was seen."""
    found = run(NAMES, faces, model, steps=31, lr=50.0)
    losses = found.losses.groupby("face")["contextual"]
    assert (losses.last() > losses.min()).any()
    # The pixels are rounded, the losses are in units of [-1, 1].
    assert (_context(found.filled, faces) / 127.5 <= losses.min().to_numpy() + 1).all()


def _context(filled, faces):
    weight = contextual_weights(MASK, 7)[:, :, None]
    return (weight * np.abs(filled.astype(float) - faces)).sum((1, 2, 3))


def test_a_search_that_finds_no_number_stops(faces, model):
    with pytest.raises(FacefillError, match="finite loss"):
        run(NAMES, faces, model, prior=float("nan"))


def test_the_search_descends(faces, model):
    losses = run(NAMES, faces, model, steps=60).losses
    first = losses[losses["step"] == 0].set_index("face")["loss"]
    last = losses[losses["step"] == 60].set_index("face")["loss"]
    assert (last < first).all()


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
    weight = contextual_weights(MASK, 7)
    assert (weight[~MASK] == 0).all()
    assert weight[32, 15] == pytest.approx(3 * 7 / 49)  # beside the hole: 3 of 7 columns missing
    assert weight[32, 12] == 0  # the window ends just before the hole
    assert weight[13, 13] == pytest.approx(1 / 49)  # the hole's corner is the window's corner
    corner = contextual_weights(make_mask({"kind": "center", "scale": 0.04}, 64), 7)
    assert corner[0, 0] == pytest.approx(4 / 16)  # at the border the window has fewer pixels


def test_telea_never_sees_the_hole_and_keeps_what_is_known(faces):
    settings = {"kind": "telea", "radius": 3}
    one = fill(faces, MASK, telea(faces, MASK, settings))
    two = fill(faces, MASK, telea(noise_in_the_hole(faces), MASK, settings))
    assert (one[:, ~MASK] == two[:, ~MASK]).all()
    assert (one[:, MASK] == faces[:, MASK]).all()


def test_mean_face():
    train = np.stack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 101, np.uint8)])
    filled = mean_face(train, 3)
    assert filled.shape == (3, 64, 64, 3)
    assert (filled == 50).all()  # half to even


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
    write_completions(folder, tmp_path / "grid.png", NAMES, faces, MASK, faces[::-1])
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.png" for name in NAMES]
    back = decode_photo((folder / "a.png").read_bytes(), 10**6)
    assert (back == faces[-1]).all()
    first = sha256_file(tmp_path / "grid.png")
    write_completions(folder, tmp_path / "grid.png", NAMES, faces, MASK, faces[::-1])
    assert sha256_file(tmp_path / "grid.png") == first
