"""facefill.near_duplicates: the cheap comparison finds what comparing everything finds."""

import numpy as np
import pytest

from facefill import near_duplicates
from facefill.near_duplicates import CANDIDATE, COARSE, FINE, NEAREST, _candidates, _means

PARTS = COARSE**2


def all_pairs(coarse: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """What `_candidates` yields, by its definition."""
    pairs = []
    for row, face in enumerate(coarse.astype(int)):
        distances = np.square(others.astype(int) - face).sum(axis=1)
        near = np.flatnonzero(distances <= PARTS * CANDIDATE**2)
        order = np.argsort(distances[near], kind="stable")[:NEAREST]
        pairs += [(row, int(column)) for column in near[order]]
    return pairs


def alike(count: int, spread: float, seed: int) -> np.ndarray:
    """Faces around five others, some of them equal, as `_normalised` gives them."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(0, 32, (5, PARTS))
    faces = centres[random.integers(0, 5, count)] + random.normal(0, spread, (count, PARTS))
    faces[::7] = faces[0]
    return faces.round().clip(-128, 127).astype(np.float32)


@pytest.mark.parametrize("many", [1, 16, 10**9], ids=["chosen pairs", "as it is", "whole blocks"])
@pytest.mark.parametrize("block", [7, 64, 1024])
@pytest.mark.parametrize("spread", [3, 14, 32])
def test_the_nearest_of_all_are_found(monkeypatch, many, block, spread):
    monkeypatch.setattr(near_duplicates, "MANY", many)
    monkeypatch.setattr(near_duplicates, "BLOCK", block)
    coarse, others = alike(60, spread, 1), alike(150, spread, 2)
    expected = all_pairs(coarse, others)
    assert list(_candidates(coarse, others)) == expected
    assert expected if spread < 32 else len(expected) < 200  # far faces: the equal ones


def test_a_face_without_any_near_one():
    assert list(_candidates(alike(3, 32, 3)[1:], alike(4, 32, 4)[1:])) == []


def test_sketches_are_no_further_apart_than_faces():
    """Else a near duplicate would be left out."""
    coarse, others = alike(40, 14, 1), alike(50, 14, 2)
    first, second = (each.astype(float) for each in near_duplicates._sketches(coarse, others))
    for row, face in enumerate(coarse.astype(float)):
        exact = np.square(others - face).sum(axis=1)
        bounds = np.square(second - first[row]).sum(axis=1)
        assert (bounds <= exact + near_duplicates.SLACK / 10).all()
        assert bounds.mean() > 0.3 * exact.mean()  # they say something


def test_means_of_many_faces_are_those_of_each(monkeypatch):
    monkeypatch.setattr(near_duplicates, "BATCH", 3)
    random = np.random.default_rng(0)
    faces = random.integers(0, 256, (8, 50, 50, 3), dtype=np.uint8)
    grey = (faces.astype(int) @ [299, 587, 114] + 500) // 1000
    edges = [*(np.arange(FINE) * 50 // FINE), 50]
    means = _means(faces, FINE)
    for row, column in ((0, 0), (3, 30), (31, 31)):
        part = grey[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
        area = part.shape[1] * part.shape[2]
        expected = (2 * part.sum(axis=(1, 2)) + area) // (2 * area)
        assert (means[:, row, column] == expected).all()
    assert (_means(means, COARSE)[4] == _means(means[4:5], COARSE)[0]).all()
