"""The path of a flow: a quarter of a circle, from a draw of what a guess misses to a face.

Faces are counted from the guess m. From a draw d of what the guess misses, the path to a true
face x is d_a = cos(a) d + sin(a) (x - m), with the angle a from 0 to a quarter turn: up to a
factor the straight path of rectified flows (Liu et al. 2023), and the trigonometric one of Albergo
and Vanden-Eijnden (2023). If faces were normally distributed, with the mean m, its slope would
be uncorrelated with the point, so that the expected slope would be 0 everywhere: a network, which
learns the expected slope, has to learn only what is not normal. At a = 0 the slope is x - m: its
expectation plus m is the posterior mean.

Time counts the angle in quarter turns, from 0 to 1.
"""

import math

from torch import Tensor

QUARTER = math.pi / 2


def point(drawn: Tensor, end: Tensor, time: Tensor) -> Tensor:
    """The points at `time` [N] of the paths from `drawn` to `end`, both [N, 3, s, s]."""
    angle = _broadcast(time)
    return angle.cos() * drawn + angle.sin() * end


def slope(drawn: Tensor, end: Tensor, time: Tensor) -> Tensor:
    """The derivatives of these points by the angle."""
    angle = _broadcast(time)
    return angle.cos() * end - angle.sin() * drawn


def expected_end(moved: Tensor, time: Tensor) -> Tensor:
    """Where paths end that are at `moved` [N, 3, s, s] at `time` [N], if faces are normal draws."""
    return _broadcast(time).sin() * moved


def _broadcast(time: Tensor) -> Tensor:
    return QUARTER * time[:, None, None, None]
