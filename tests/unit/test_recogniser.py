"""The recogniser that a flow learns identity from: it knows its people, and only means heed it."""

import numpy as np
import pytest
import torch
from test_complete import one_thread  # noqa: F401
from test_flow import loop_with

from facefill.core import device
from facefill.core.errors import FacefillError
from facefill.core.tensors import to_unit
from facefill.models.flow.correction import Correction
from facefill.models.flow.recogniser import FEWEST, fit_recogniser
from holes import smooth_faces
from untrained import SIZE

pytestmark = pytest.mark.usefixtures("one_thread")
PEOPLE = 10


def photos(shots, seed):
    """`shots` photos of each person, who differ in light, and who is in each."""
    faces, random = smooth_faces(PEOPLE, SIZE).astype(float), np.random.default_rng(seed)
    light = random.normal(1, 0.1, (shots, PEOPLE, 1, 1, 1))
    made = (faces * light + random.normal(0, 3, (shots, *faces.shape))).clip(0, 255)
    return made.reshape(-1, *faces.shape[1:]).astype(np.uint8), list("abcdefghij") * shots


def fit(faces, people, seed=0, epochs=40):
    compute = device.choose("cpu", "float32")
    return fit_recogniser(faces, people, compute, epochs=epochs, seed=seed)


def described(network, faces):
    return network(to_unit(torch.from_numpy(faces).permute(0, 3, 1, 2)))


def test_photos_of_one_person_become_neighbours():
    network = fit(*photos(4, seed=0))
    unseen = described(network, photos(2, seed=1)[0])
    assert unseen.shape == (2 * PEOPLE, 128) and torch.allclose(unseen.norm(dim=1), torch.ones(1))
    nearest = (unseen[:PEOPLE] @ unseen[PEOPLE:].T).argmax(1)
    assert (nearest == torch.arange(PEOPLE)).float().mean() >= 0.8  # by chance 0.1
    assert not network.training and not any(p.requires_grad for p in network.parameters())


def test_equal_seeds_equal_recognisers():
    faces, people = photos(2, seed=0)
    states = [fit(faces, people, seed, epochs=2).state_dict() for seed in (0, 0, 1)]
    same = [all(torch.equal(states[0][k], other[k]) for k in states[0]) for other in states[1:]]
    assert same == [True, False]


def test_people_with_one_photo_teach_nothing():
    faces, _ = photos(2, seed=0)
    people = [str(number) for number in range(len(faces))]
    people[: FEWEST - 1] = people[-FEWEST + 1 :]
    with pytest.raises(FacefillError, match="7 have several photos, 8 are needed"):
        fit(faces, people)


def test_means_alone_are_to_look_like_the_person(tmp_path):
    loop = loop_with(
        Correction(12, 4),
        smooth_faces(12, SIZE),
        tmp_path,
        recogniser=fit(*photos(2, seed=0), epochs=1),
        identity=1.0,
    )
    random = torch.Generator().manual_seed(0)
    way = loop._draw(0, torch.arange(8), random, torch.Generator().manual_seed(0))
    assert loop._unlikeness(way, way.end).abs() < 1e-4
    found = torch.zeros_like(way.end).requires_grad_()
    loss = loop._unlikeness(way, found)
    loss.backward()
    heeded = found.grad.abs().sum((1, 2, 3)) > 0
    assert loss > 0 and heeded.tolist() == [row < loop.means for row in range(8)]
    known = way.seen.known.expand_as(found)
    assert not found.grad[known].any()
