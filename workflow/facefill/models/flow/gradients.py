"""Conjugate gradients for many faces at a time, a fixed number of steps."""

from collections.abc import Callable

from torch import Tensor

Linear = Callable[[Tensor], Tensor]


def solve(
    turn: Linear, right: Tensor, steps: int, precondition: Linear = lambda left: left
) -> Tensor:
    """Solve `turn`(x) = `right`, [N, ...], for each of N faces; Shewchuk 1994, section 12.

    `turn` is symmetric and positive definite, `precondition` is about its inverse. Where a face is
    solved exactly, further steps change nothing.
    """
    found, left = right.new_zeros(right.shape), right
    direction = turned_back = precondition(left)
    length = _products(left, turned_back)
    for _ in range(steps):
        turned = turn(direction)
        step = length / _products(direction, turned).clamp(min=1e-20)
        found, left = found + step * direction, left - step * turned
        turned_back = precondition(left)
        before, length = length, _products(left, turned_back)
        direction = turned_back + length / before.clamp(min=1e-20) * direction
    return found


def _products(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(tuple(range(1, a.dim())), keepdim=True)
