"""Poisson's equation in the holes of a photograph, exact at millions of hidden pixels.

Each hidden pixel has an equation: the differences to its neighbours (four, fewer at the picture's
border) sum up to a given value. SciPy's direct solver takes gigabytes for a million; conjugate
gradients, preconditioned by smoothed aggregation (Vaněk, Mandel and Brezina 1996), take seconds,
since hidden pixels lie on a grid and 3 x 3 of them make one of a coarser level.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
SIDE = 3  # of a block of pixels that make one on the coarser level
DIRECT = 2000  # unknowns that are solved for directly
# Of the right-hand side's norm: of a million pixels none is off by 1e-5 grey levels then, after
# 15 iterations.
RESIDUAL = 1e-8
MAX_ITERATIONS = 200


class Level(NamedTuple):
    """A system of equations, and the way to a smaller one and back."""

    matrix: sparse.csr_matrix
    widen: sparse.csr_matrix  # [unknowns, unknowns of the coarser level]
    narrow: sparse.csr_matrix  # its transpose
    relax: np.ndarray  # [unknowns, 1], weights of damped Jacobi


def solve(known: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Solve for the values of hidden pixels, known ones being 0.

    `known` is bool [height, width], some of it True. `sums`, float64 [hidden pixels, channels] in
    the order of `known`'s rows, is for each hidden p the sum of x_p - x_q over its neighbours q
    within the picture. Returns float64 [hidden pixels, channels].
    """
    hidden = np.argwhere(~known)
    levels, direct = _levels(_laplacian(known, hidden), hidden)
    if not levels:
        return direct.solve(sums)
    matrix = levels[0].matrix
    solution, residual = np.zeros_like(sums), sums.copy()
    goal = RESIDUAL * np.linalg.norm(sums, axis=0)
    direction, former = 0, np.inf
    for _ in range(MAX_ITERATIONS):
        if (np.linalg.norm(residual, axis=0) <= goal).all():
            break
        step = _cycle(levels, direct, residual)
        energy = (residual * step).sum(0)
        direction = step + energy / former * direction
        former = np.maximum(energy, np.finfo(float).tiny)  # a channel may be solved before others
        change = matrix @ direction
        length = energy / np.maximum((direction * change).sum(0), np.finfo(float).tiny)
        solution += length * direction
        residual -= length * change
    return solution


def _laplacian(known: np.ndarray, hidden: np.ndarray) -> sparse.csr_matrix:
    number = np.full(known.shape, -1, np.int32)
    number[~known] = np.arange(len(hidden))
    degree = np.zeros(len(hidden))
    rows, columns = [], []
    for step in STEPS:
        neighbours = hidden + step
        inside = ((neighbours >= 0) & (neighbours < known.shape)).all(1)
        degree += inside
        column = number[tuple(neighbours[inside].T)]
        rows.append(np.flatnonzero(inside)[column >= 0])
        columns.append(column[column >= 0])
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    couplings = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), [len(hidden)] * 2)
    return sparse.diags(degree, format="csr") - couplings


def _levels(matrix: sparse.csr_matrix, places: np.ndarray) -> tuple[list[Level], object]:
    """Ever smaller systems, and the factors of the smallest; `places` [unknowns, 2] on the grid."""
    levels = []
    while len(places) > DIRECT:
        blocks = places // SIDE
        width = blocks[:, 1].max() + 1
        names, block = np.unique(blocks[:, 0] * width + blocks[:, 1], return_inverse=True)
        count = len(places)
        gather = sparse.csr_matrix((np.ones(count), (np.arange(count), block)), (count, len(names)))
        # Gershgorin's bound of the largest eigenvalue, by which Jacobi's steps are damped. With
        # less than 2, a pixel whose neighbours are all known could have no part in `widen`.
        diagonal = matrix.diagonal()
        largest = max(2, (abs(matrix) @ np.ones(count) / diagonal).max())
        relax = 4 / 3 / largest / diagonal
        widen = (gather - sparse.diags(relax) @ (matrix @ gather)).tocsr()
        levels.append(Level(matrix, widen, widen.T.tocsr(), relax[:, None]))
        matrix = (levels[-1].narrow @ matrix @ widen).tocsr()
        places = np.stack(np.divmod(names, width), 1)
    return levels, splu(matrix.tocsc())


def _cycle(levels: list[Level], direct: object, sums: np.ndarray) -> np.ndarray:
    """One V-cycle: a symmetric approximate solution."""
    if not levels:
        return direct.solve(sums)
    matrix, widen, narrow, relax = levels[0]
    solution = relax * sums
    solution += relax * (sums - matrix @ solution)
    solution += widen @ _cycle(levels[1:], direct, narrow @ (sums - matrix @ solution))
    solution += relax * (sums - matrix @ solution)
    solution += relax * (sums - matrix @ solution)
    return solution
