"""Completed faces laid back into their photograph."""

import importlib.util

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from facefill.align import warp
from facefill.restore import membrane
from facefill.restore.place import Placed, face_known, lay_back, photo_known
from project import ROOT

SPEC = importlib.util.spec_from_file_location("seam", ROOT / "tools" / "seam.py")
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)
rim_gradient = tool.rim_gradient
SIZE = 32


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(height=120, width=150, seed=0):
    picture = cv2.GaussianBlur(noise(height, width, seed).astype(np.float32), (0, 0), 8)
    return cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX).round().astype(np.uint8)


def turned(x, y, angle, scale):
    """Photo -> face: the photo's (x, y) in the middle, `scale` face pixels per photo pixel."""
    matrix = cv2.getRotationMatrix2D((x, y), angle, scale)
    matrix[:, 2] += (SIZE - 1) / 2 - np.array([x, y])
    return matrix


def box(shape, rows, columns):
    known = np.ones(shape[:2], bool)
    known[rows, columns] = False
    return known


@st.composite
def scenes(draw, scales=(0.2, 3.0)):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    known = np.ones((height, width), bool)
    for _ in range(draw(st.integers(1, 3))):
        y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        known[y : y + draw(st.integers(1, 20)), x : x + draw(st.integers(1, 20))] = False
    faces = [
        Placed(
            turned(
                draw(st.floats(-10, 50)),
                draw(st.floats(-10, 50)),
                draw(st.floats(-180, 180)),
                draw(st.floats(*scales)),
            ),
            noise(SIZE, SIZE, number),
        )
        for number in range(draw(st.integers(0, 2)))
    ]
    return noise(height, width, draw(st.integers(0, 9))), known, faces


@given(scenes(), st.sampled_from([None, 1]))
@settings(deadline=None, max_examples=60)
def test_only_hidden_pixels_change_and_none_of_them_is_seen(scene, grain):
    photo, known, faces = scene
    filled, source = lay_back(photo, known, faces, grain)
    assert filled.dtype == np.uint8 and source.shape == known.shape
    np.testing.assert_array_equal(filled[known], photo[known])
    assert (source[known] == -1).all() and source.max() < len(faces)
    other = np.where(known[..., None], photo, 255 - photo)
    np.testing.assert_array_equal(lay_back(other, known, faces, grain)[0][~known], filled[~known])


@given(scenes(), st.integers(0, 255), st.sampled_from([None, 1]))
@settings(deadline=None, max_examples=30)
def test_a_constant_photo_stays_constant(scene, level, grain):
    photo, known, faces = scene
    known[0, 0] = True
    constant = np.full_like(photo, level)
    faces = [Placed(face.matrix, np.full_like(face.face, 99)) for face in faces]
    damaged = np.where(known[..., None], constant, photo)
    np.testing.assert_array_equal(lay_back(damaged, known, faces, grain)[0], constant)


@given(scenes())
@settings(deadline=None, max_examples=60)
def test_known_pixels_of_a_face_see_no_hidden_photo_pixel(scene):
    photo, known, faces = scene
    other = np.where(known[..., None], photo, noise(*known.shape, 77))
    for matrix, _ in faces:
        seen = face_known(known, matrix, SIZE)
        different = (warp(photo, matrix, SIZE) != warp(other, matrix, SIZE)).any(-1)
        assert seen.shape == (SIZE, SIZE) and not (seen & different).any()


def test_a_face_hides_no_more_than_what_it_takes_from_the_hole():
    known = box((64, 64), slice(10, 20), slice(30, 40))
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])  # two by two photo pixels make one
    np.testing.assert_array_equal(
        face_known(known, half, SIZE), box((SIZE, SIZE), slice(5, 10), slice(15, 20))
    )
    np.testing.assert_array_equal(photo_known((64, 64), half, ~np.zeros((SIZE, SIZE), bool)), True)
    np.testing.assert_array_equal(photo_known((64, 64), half, face_known(known, half, SIZE)), known)


@pytest.mark.parametrize("scale", [0.3, 0.7, 1.0, 2.0])
def test_the_true_face_gives_the_photo(scale):
    photo = smooth()
    matrix = turned(70, 55, 20, scale)
    hole = box((SIZE, SIZE), slice(10, 22), slice(0, 26))
    known = photo_known(photo.shape[:2], matrix, hole)
    assert not known.all()
    face = Placed(matrix, warp(photo, matrix, SIZE))
    damaged = np.where(known[..., None], photo, 255)
    filled, source = lay_back(damaged, known, [face])
    np.testing.assert_array_equal(source, np.where(known, -1, 0))
    error = np.abs(filled.astype(int) - photo)[~known]
    without = np.abs(lay_back(damaged, known, [])[0].astype(int) - photo)[~known]
    assert error.mean() < 1.5 and error.mean() < without.mean() / 4
    assert rim_gradient(filled, known) == pytest.approx(rim_gradient(photo, known), rel=0.1)


def test_of_a_face_finer_than_the_photo_the_mean_is_seen():
    face = np.indices((SIZE, SIZE)).sum(0) % 2 * np.uint8(255)
    placed = Placed(turned(10.25, 10.25, 0, 2.0), np.dstack([face] * 3))
    filled, _ = lay_back(noise(20, 20), np.zeros((20, 20), bool), [placed])
    assert np.abs(filled[5:15, 5:15].astype(int) - 127).max() < 30


def test_each_pixel_belongs_to_the_nearest_face():
    """In sides of the crop: the smaller one ends nearer to its middle."""
    photo, known = smooth(), box((120, 150), slice(40, 80), slice(10, 145))
    large, small = turned(40, 60, 0, 0.5), turned(90, 60, 0, 1.0)
    faces = [Placed(large, smooth(SIZE, SIZE)), Placed(small, smooth(SIZE, SIZE))]
    _, source = lay_back(photo, known, faces)
    row = source[60, 10:145]
    assert row[0] == row[40] == 0 and row[80] == 1 and row[-1] == -1
    # Crops of 64 and 32 pixels, their middles 50 apart; the small one begins at 74.
    assert np.flatnonzero(row == 1)[0] + 10 == 74


@pytest.mark.parametrize("far", [-1e4, 1e4])
def test_a_face_outside_of_the_photo_fills_nothing(far):
    photo, known = smooth(), box((120, 150), slice(40, 80), slice(10, 145))
    filled, source = lay_back(photo, known, [Placed(turned(far, far, 0, 1), noise(SIZE, SIZE))])
    assert (source == -1).all()
    np.testing.assert_array_equal(filled, lay_back(photo, known, [])[0])


def test_without_anything_known_the_face_is_as_it_is():
    matrix = turned(15.5, 15.5, 0, 1)
    face = np.full((SIZE, SIZE, 3), 77, np.uint8)
    filled, source = lay_back(noise(32, 32), np.zeros((32, 32), bool), [Placed(matrix, face)], 1)
    assert (filled == 77).all() and (source == 0).all()


def direct(known, sums):
    """The same equations by SciPy's direct solver, from their definition."""
    height, width = known.shape
    hidden = np.argwhere(~known)
    number = {tuple(place): row for row, place in enumerate(hidden.tolist())}
    matrix = sparse.lil_matrix((len(hidden), len(hidden)))
    for (y, x), row in number.items():
        for neighbour in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= neighbour[0] < height and 0 <= neighbour[1] < width:
                matrix[row, row] += 1
                if neighbour in number:
                    matrix[row, number[neighbour]] = -1
    return spsolve(matrix.tocsc(), sums).reshape(sums.shape)


HOLES = {
    "broad": lambda random: box((110, 110), slice(5, 108), slice(2, 109)),
    "to the borders": lambda random: box((110, 110), slice(0, 110), slice(30, 110)),
    "specks": lambda random: random.random((150, 150)) < 0.4,
    "pixels": lambda random: random.random((200, 200)) < 0.9,
    "a line": lambda random: box((7000, 3), slice(0, 7000), slice(1, 2)),
    "all but one": lambda random: ~box((70, 70), 69, 0),
    "small": lambda random: box((9, 9), slice(3, 5), slice(0, 9)),
}


@pytest.mark.parametrize("hole", HOLES)
def test_the_solution_is_exact(hole):
    random = np.random.default_rng(0)
    known = HOLES[hole](random)
    sums = random.normal(0, 50, (np.count_nonzero(~known), 3))
    sums[:, 2] = 0
    solved, expected = membrane.solve(known, sums), direct(known, sums)
    assert np.abs(solved - expected).max() <= 1e-5 * np.abs(expected).max()
    assert (solved[:, 2] == 0).all()


def test_grain_is_that_of_the_surroundings():
    random = np.random.default_rng(0)
    clean = np.full((160, 160, 3), 128.0)
    grain = cv2.GaussianBlur(random.normal(0, 10, (160, 160, 1)), (0, 0), 0.7)[..., None]
    photo = (clean + grain).round().astype(np.uint8)  # grey, and coarser than a pixel
    known = box(photo.shape, slice(50, 110), slice(40, 120))
    plain, _ = lay_back(photo, known, [])
    grainy, _ = lay_back(photo, known, [], grain=3)

    def steps(picture):
        return np.abs(np.diff(picture[60:100, 50:110].astype(int), axis=1)).mean()

    assert steps(plain) < 0.2 * steps(photo)
    assert steps(grainy) == pytest.approx(steps(photo), rel=0.25)
    assert np.ptp(grainy[~known], axis=1).max() == 0  # still grey
    np.testing.assert_array_equal(grainy, lay_back(photo, known, [], grain=3)[0])
    assert (grainy != lay_back(photo, known, [], grain=4)[0]).any()
    assert rim_gradient(grainy, known) == pytest.approx(rim_gradient(photo, known), rel=0.25)


def test_the_rim_gradient():
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[1:3, 1:3] = 50
    known = box(photo.shape, slice(1, 3), slice(1, 3))
    assert rim_gradient(photo, known) == 50
    assert np.isnan(rim_gradient(photo, np.ones((4, 4), bool)))
