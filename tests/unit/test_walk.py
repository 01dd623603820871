"""Walks between several completions of a face."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facefill.complete import Task
from facefill.core import device
from facefill.core.masking import Masks, observe
from facefill.methods._walk import FRAMES, STOPS, Place, blend_frames, places
from facefill.methods.gaussian import condition
from facefill.methods.latent.search import _walk
from untrained import normal, save_gaussian

SIZE = 8
NAMES = ["Ann__1", "Bob__1", "Cid__1"]
FACES = np.random.default_rng(0).integers(90, 160, (3, SIZE, SIZE, 3)).astype(np.uint8)

pytestmark = pytest.mark.usefixtures("one_thread")


def task(**models) -> Task:
    known = np.ones((3, SIZE, SIZE), bool)
    known[:, 2:6, 2:6] = False
    masks = Masks(known)
    return Task(names=NAMES, observed=observe(FACES, masks), masks=masks, models=models, seed=3)


def test_a_walk_of_one_completion_stands_still():
    assert places(1) == [Place(0, 0, 0)]


@pytest.mark.parametrize(("samples", "visited"), [(2, [0, 1, 0]), (3, [0, 1, 2, 0])])
def test_a_walk_goes_from_one_to_the_next_and_back(samples, visited):
    way = places(samples)
    assert [place.first for place in way if place.share == 0] == visited
    assert len(way) == samples * FRAMES + 1
    assert {place[:2] for place in way[:-1]} == set(itertools.pairwise(visited))
    assert [place.share for place in way[:FRAMES]] == [step / FRAMES for step in range(FRAMES)]


def test_a_walk_visits_a_few_of_many():
    assert {place.first for place in places(64)} == set(range(STOPS))
    assert len(places(64)) == len(places(STOPS))


def test_a_latent_walk_is_straight_in_z_and_changes():
    """What lies half-way is what G makes of the middle, whatever the pixels of both ends."""

    def generator(z, changes):
        value = (z[:, :1] / 2).square() + changes[:, :1] / 4
        return value[:, :, None, None].expand(-1, 3, SIZE, SIZE)

    space = SimpleNamespace(z=lambda rows: rows[:, :2], changes=lambda rows: rows[:, 2:])
    compute = device.choose("cpu", "float32")
    objective = SimpleNamespace(generator=generator, space=space, compute=compute)
    variable = torch.zeros(30, 2, 3)  # more rows on the way than a batch has
    variable[:, 1, 0], variable[:, 1, 2] = 1.0, torch.linspace(0, 1, 30)
    frames = _walk(objective, variable)
    assert frames.shape == (2 * FRAMES + 1, 30, SIZE, SIZE, 3)
    for number, share in ((0, 0), (FRAMES // 2, 0.5), (FRAMES, 1), (FRAMES + FRAMES // 2, 0.5)):
        value = share**2 / 4 + share * variable[:, 1, 2].numpy() / 4
        expected = ((value + 1) * 127.5).round()[:, None, None, None]
        assert np.abs(frames[number] - expected).max() <= 1


def test_between_two_draws_of_the_normal_lies_a_draw(tmp_path, monkeypatch):
    """Half-way both deviations weigh 0.71, whose squares add up to 1: a fade would lose grain."""
    unrounded = []

    def keep(faces):
        unrounded.append(faces.numpy())
        return faces.numpy().round().clip(0, 255).astype(np.uint8)

    monkeypatch.setattr(condition, "_rounded", keep)
    given = task(model=save_gaussian(tmp_path, normal(SIZE, 5)))
    condition.complete_faces(given, 3, "none")
    samples, walk = unrounded[0][given.watched], unrounded[1]
    mean, first, second = samples.swapaxes(0, 1)
    between = walk[:, FRAMES + FRAMES // 2]
    assert np.allclose(between, mean + (first - mean + second - mean) / 2**0.5)
    assert np.allclose(walk[:, FRAMES], first) and np.allclose(walk[:, -1], mean)


@pytest.mark.parametrize("mode", ["none", "poisson"])
def test_known_pixels_stand_still(mode):
    given = task()
    frames = np.random.default_rng(1).integers(0, 256, (5, 3, SIZE, SIZE, 3)).astype(np.uint8)
    blended = blend_frames(mode, given, frames)
    known = given.masks.known[given.watched]
    for frame in blended:
        assert (frame[known] == given.observed[given.watched][known]).all()
    assert (blended[0] != blended[1]).any()
