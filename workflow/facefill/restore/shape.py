"""How the landmarks of faces lie to each other, and where hidden ones are likely to be."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Errors of landmarks that are seen, as a share of the shape's size: a landmark model under whose
# eyes a part of the face is painted over errs by some 5 pixels of LFW's 250.
SEEN = 0.05
STEPS = 8  # of the turns between placing the shape and bending it; it settles in three


class Shape(NamedTuple):
    """Landmarks of faces brought to one size, place and turn: normally distributed."""

    mean: np.ndarray  # float64 [68, 2]
    residual: np.ndarray  # float64 [136], standard deviation of what the modes leave
    modes: np.ndarray  # float64 [modes, 136], each times its standard deviation


@cache
def shape() -> Shape:
    """The shape of LFW's training faces, see shape.csv."""
    mean, residual, *modes = np.loadtxt(Path(__file__).with_name("shape.csv"), delimiter=",")
    return Shape(mean.reshape(68, 2), residual, np.array(modes))


def complete(landmarks: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The most likely places of all landmarks, given those `seen`: float64 [68, 2].

    `landmarks` are float64 [68, 2], of which only those count where `seen`, bool [68], is true; at
    least two. The shape is normally distributed (probabilistic principal components, Tipping and
    Bishop 1999) and lies in the photo by a similarity, fitted by least squares; both are improved
    by turns.
    """
    mean, residual, modes = shape()
    columns = np.repeat(seen, 2)
    seen_modes = modes[:, columns]
    within = seen_modes.T @ seen_modes + np.diag(residual[columns] ** 2 + SEEN**2)
    gain = np.linalg.solve(within, seen_modes.T @ modes).T  # from what is seen to all of the shape
    likely = mean
    for _ in range(STEPS):
        scale, shift = similarity(likely[seen], landmarks[seen])
        there = (landmarks[seen] @ AXES - shift) / scale  # what is seen, in the shape's frame
        seen_shape = np.stack([there.real, there.imag], axis=1)
        likely = mean + (gain @ (seen_shape - mean[seen]).ravel()).reshape(-1, 2)
    scale, shift = similarity(likely[seen], landmarks[seen])
    return moved(likely, scale, shift)


AXES = np.array([1, 1j])  # a point as a complex number: a similarity is a product and a sum


def similarity(points: np.ndarray, onto: np.ndarray) -> tuple[complex, complex]:
    """Factor and shift of complex numbers that move `points` [N, 2] nearest `onto` [N, 2]."""
    start, end = points @ AXES, onto @ AXES
    from_middle = start - start.mean()
    scale = np.vdot(from_middle, end - end.mean()) / np.vdot(from_middle, from_middle).real
    return scale, end.mean() - scale * start.mean()


def moved(points: np.ndarray, scale: complex, shift: complex) -> np.ndarray:
    """`points` [N, 2] by a similarity."""
    there = points @ AXES * scale + shift
    return np.stack([there.real, there.imag], axis=1)
