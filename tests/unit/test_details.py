"""Details of the mirror image: what one half shows, a mean of the other half gets."""

import cv2
import numpy as np
import pytest

from facefill.core.masking import make_masks
from facefill.methods.flow.details import with_details
from holes import smooth_faces

SIZE = 64


def symmetric_faces(count):
    """Faces whose halves show the same spots, [count, SIZE, SIZE, 3]."""
    faces, random = smooth_faces(count, SIZE).astype(float), np.random.default_rng(0)
    spots = random.normal(0, 60, (count, SIZE, SIZE // 2, 1))
    spots = np.stack([cv2.GaussianBlur(each, (0, 0), 1.0) for each in spots])[..., None]
    faces = faces + np.concatenate([spots, spots[:, :, ::-1]], 2)
    faces = (faces + faces[:, :, ::-1]) / 2
    return faces.clip(0, 255).astype(np.uint8)


def known_of(mask, count):
    return make_masks(mask, [f"face {n}" for n in range(count)], SIZE, 1.0).known


def mean_of(faces, known):
    """The faces as a mean completes them: smooth in the hole."""
    smooth = np.stack([cv2.GaussianBlur(face, (0, 0), 3.0) for face in faces])
    return np.where(known[..., None], faces, smooth)


def error(one, two, where):
    return np.abs(one.astype(float) - two)[where].mean()


@pytest.mark.parametrize("turned", [0, 2])
def test_a_hidden_half_gets_details_of_the_other(turned):
    """Also where the head is turned, so that the mirror image lies a few pixels aside."""
    faces = np.roll(symmetric_faces(6), turned, axis=2)
    known = known_of({"kind": "half", "side": "left"}, 6)
    filled = mean_of(faces, known)
    changed = with_details(filled, known, 0.25)
    inner = ~known & (np.arange(SIZE) > 8) & (np.arange(SIZE) < SIZE // 2 - 8)
    assert error(changed, faces, inner) < 0.9 * error(filled, faces, inner)
    assert np.array_equal(changed[known], filled[known])
    whole = with_details(filled, known, 1.0)
    assert error(whole, faces, inner) < 0.7 * error(filled, faces, inner)


@pytest.mark.parametrize(
    "mask",
    [
        {"kind": "center", "scale": 0.25},
        {"kind": "landmarks", "part": "eyes"},
        {"kind": "half", "side": "top"},
        {"kind": "random", "hidden": 0.8, "seed": 1},
    ],
)
def test_where_the_mirror_image_is_hidden_nothing_changes(mask):
    faces, known = symmetric_faces(3), known_of(mask, 3)
    filled = mean_of(faces, known)
    assert np.array_equal(with_details(filled, known, 1.0), filled)


def test_hidden_pixels_of_the_mirror_image_give_nothing():
    """What a mean made up there is no detail of the face."""
    faces, known = symmetric_faces(3), np.ones((3, SIZE, SIZE), bool)
    known[:, 8:56, 4:28] = False
    known[:, 24:40, 44:56] = False  # in the mirror image of that
    filled = mean_of(faces, known)
    noisy = filled.copy()
    random = np.random.default_rng(1)
    noisy[:, 24:40, 44:56] = random.integers(0, 256, (3, 16, 12, 3))
    one, two = (with_details(each, known, 1.0) for each in (filled, noisy))
    deep = np.s_[:, 28:36, 12:16]
    assert np.array_equal(one[deep], filled[deep]) and np.array_equal(two[deep], filled[deep])
