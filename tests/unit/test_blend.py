"""Blending: against plain solutions of the same equations, for holes of every kind."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facefill.core.blend import blend, poisson

SIZE = 12


def dense(face, known, fill):
    """Pérez's equation 7 with one row per hidden pixel, solved by numpy: float64 [size, size, 3].

    For each hidden p: the sum over its neighbours q of (x_p - x_q) is that of (fill_p - fill_q).
    """
    size = len(known)
    hidden = [(y, x) for y in range(size) for x in range(size) if not known[y, x]]
    number = {pixel: row for row, pixel in enumerate(hidden)}
    face, fill = face.astype(float), fill.astype(float)
    matrix, right = np.zeros((len(hidden), len(hidden))), np.zeros((len(hidden), 3))
    for (y, x), row in number.items():
        for neighbour in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= neighbour[0] < size and 0 <= neighbour[1] < size):
                continue
            matrix[row, row] += 1
            right[row] += fill[y, x] - fill[neighbour]
            if neighbour in number:
                matrix[row, number[neighbour]] -= 1
            else:
                right[row] += face[neighbour]
    solved = face.copy()
    solved[~known] = np.linalg.solve(matrix, right)
    return solved


def pictures(count=1, low=0, high=256, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(low, high, (count, SIZE, SIZE, 3)).astype(np.uint8)


def hole(*slices):
    known = np.ones((SIZE, SIZE), bool)
    for rows, columns in slices:
        known[rows, columns] = False
    return known


ALL = slice(None)
HOLES = {
    "inside": hole((slice(4, 9), slice(3, 8))),
    "at one border": hole((slice(4, 9), slice(0, 5))),
    "in a corner": hole((slice(8, SIZE), slice(7, SIZE))),
    "half": hole((ALL, slice(6, SIZE))),
    "several": hole((slice(1, 4), slice(1, 4)), (slice(6, 11), slice(5, 12)), (9, 2)),
    "touching at a corner": hole((slice(2, 5), slice(2, 5)), (slice(5, 8), slice(5, 8))),
    "around an island": hole(
        (slice(2, 10), slice(2, 5)),
        (slice(2, 10), slice(7, 10)),
        (slice(2, 5), slice(2, 10)),
        (slice(7, 10), slice(2, 10)),
    ),
    "single pixels": hole((3, 3), (0, 0), (11, 5), (7, 7)),
    "random 80 %": np.random.default_rng(1).random((SIZE, SIZE)) < 0.2,
    "all but one": ~hole((4, 7)),
}
every_hole = pytest.mark.parametrize("known", HOLES.values(), ids=HOLES)


@every_hole
def test_poisson_is_the_dense_solution(known):
    """Up to rounding; what the equations put outside of 0..255 is cut off."""
    face, fill = pictures(seed=1), pictures(seed=2)
    blended = poisson(face, known[None], fill)[0]
    expected = dense(face[0], known, fill[0]).clip(0, 255)
    assert np.abs(blended - expected)[~known].max() <= 0.5 + 1e-6


@settings(deadline=None, max_examples=60)
@given(arrays(bool, (5, 5)), st.integers(0, 2**32 - 1))
def test_poisson_is_the_dense_solution_in_any_hole(known, seed):
    assume(known.any())
    random = np.random.default_rng(seed)
    face, fill = random.integers(0, 256, (2, 1, 5, 5, 3)).astype(np.uint8)
    blended = blend("poisson", face, known[None], fill)[0]
    assert np.abs(blended - dense(face[0], known, fill[0]).clip(0, 255)).max() <= 0.5 + 1e-6


def test_poisson_of_one_pixel_by_hand():
    """In the middle of a plane of 100 the fill rises by 8 over its neighbours' mean."""
    face, fill = (
        np.full((1, SIZE, SIZE, 3), 100, np.uint8),
        np.full((1, SIZE, SIZE, 3), 10, np.uint8),
    )
    fill[0, 5, 5] = 18
    blended = blend("poisson", face, hole((5, 5))[None], fill)
    assert blended[0, 5, 5].tolist() == [108] * 3


KINDS = ("none", "poisson", "seamless")


@pytest.mark.parametrize("kind", KINDS)
def test_with_nothing_known_the_fill_stays(kind):
    fill = pictures(2, seed=2)
    nothing = np.zeros((2, SIZE, SIZE), bool)
    assert (blend(kind, pictures(2, seed=1), nothing, fill) == fill).all()


@pytest.mark.parametrize("kind", KINDS)
def test_with_nothing_hidden_the_face_stays(kind):
    face = pictures(2, seed=1)
    everything = np.ones((2, SIZE, SIZE), bool)
    assert (blend(kind, face, everything, pictures(2, seed=2)) == face).all()


@every_hole
def test_without_blending_the_fill_is_laid_in(known):
    face, fill = pictures(seed=1), pictures(seed=2)
    blended = blend("none", face, known[None], fill)[0]
    assert (blended[known] == face[0, known]).all()
    assert (blended[~known] == fill[0, ~known]).all()


@every_hole
@pytest.mark.parametrize("kind", KINDS)
def test_hidden_pixels_do_not_matter_and_known_ones_stay(kind, known):
    face, other, fill = (pictures(seed=seed) for seed in (1, 2, 3))
    other[0, known] = face[0, known]
    one, two = (blend(kind, observed, known[None], fill) for observed in (face, other))
    assert (one == two).all()
    assert (one[0, known] == face[0, known]).all()


@every_hole
def test_a_constant_is_removed_exactly(known):
    """The fill has the face's gradients: so the face itself is the solution."""
    face = pictures(low=60, high=196, seed=1)
    for constant in (-60, 37, 60):
        fill = (face.astype(int) + constant).astype(np.uint8)
        assert (poisson(face, known[None], fill)[0, ~known] == face[0, ~known]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_many_are_blended_as_one_by_one(kind):
    """Different masks, and some that are alike: they share one factorisation."""
    known = np.stack([*HOLES.values(), *HOLES.values()])
    faces, fills = pictures(len(known), seed=1), pictures(len(known), seed=2)
    many = blend(kind, faces, known, fills)
    for row in range(len(known)):
        one = slice(row, row + 1)
        assert (many[one] == blend(kind, faces[one], known[one], fills[one])).all()


def smooth(size, seed=0):
    """A picture without two like places: uint8 [1, size, size, 3]."""
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(9 * x + 5 * y + seed), np.cos(7 * y * x), np.sin(11 * y - 4 * x)], 2)
    return (128 + 90 * waves).round().astype(np.uint8)[None]


BIG = 32
INSIDE = {
    "even": (slice(10, 20), slice(7, 19)),
    "odd": (slice(11, 20), slice(7, 18)),
    "mixed": (slice(11, 21), slice(8, 21)),
    "a pixel": (slice(9, 10), slice(14, 15)),
    "a line": (slice(9, 10), slice(8, 20)),
}
AT_THE_BORDER = {
    "left": (slice(10, 21), slice(0, 9)),
    "right": (slice(10, 20), slice(20, BIG)),
    "top": (slice(0, 9), slice(5, 20)),
    "bottom": (slice(21, BIG), slice(5, 20)),
    "corner": (slice(0, 10), slice(0, 11)),
    "other corner": (slice(21, BIG), slice(22, BIG)),
    "half": (slice(None), slice(16, BIG)),
    "line": (slice(BIG - 1, BIG), slice(None)),
}
PLACES = {
    **{name: [place] for name, place in (INSIDE | AT_THE_BORDER).items()},
    "several": [(slice(3, 11), slice(2, 9)), (slice(15, 29), slice(20, BIG)), (slice(24, BIG), 7)],
}


def seamless(face, fill, holes):
    """The blended face, int [size, size, 3], and where its holes are."""
    known = np.ones((1, BIG, BIG), bool)
    for rows, columns in holes:
        known[0, rows, columns] = False
    return blend("seamless", face, known, fill)[0].astype(int), ~known[0]


@pytest.mark.parametrize("place", PLACES)
def test_seamless_cloning_puts_the_fill_where_it_belongs(place):
    """OpenCV gets a point for the hole's middle: a pixel off, and the waves would not meet."""
    face = smooth(BIG)
    blended, _ = seamless(face, face, PLACES[place])
    assert np.abs(blended - face[0]).max() <= 1


@pytest.mark.parametrize("place", INSIDE)
def test_seamless_cloning_removes_a_constant(place):
    face = smooth(BIG) // 2 + 40
    blended, _ = seamless(face, face + 40, [INSIDE[place]])
    assert np.abs(blended - face[0]).max() <= 1


@pytest.mark.parametrize("place", AT_THE_BORDER)
def test_seamless_cloning_removes_a_part_of_a_constant_at_the_border(place):
    """From 40: there only the fill goes on."""
    face = smooth(BIG) // 2 + 40
    blended, holes = seamless(face, face + 40, [AT_THE_BORDER[place]])
    assert np.abs(blended - face[0])[holes].mean() < 30


def test_seamless_cloning_brings_the_fills_gradients():
    """Not only the known pixels' continuation: a spot of the fill is seen, at its place."""
    face, fill = np.full((2, 1, BIG, BIG, 3), 120, np.uint8)
    fill[0, 14:17, 11:14] = 200
    blended, _ = seamless(face, fill, [(slice(6, 24), slice(5, 21))])
    assert (blended[14:17, 11:14] > 170).all()
    assert blended.mean((1, 2))[[8, 21]].max() < 125
