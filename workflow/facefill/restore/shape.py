"""How the landmarks of faces lie to each other."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np


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
