"""Strokes of a brush, drawn at random."""

import numpy as np

from facefill.masks._random import centers

# Widths of the strokes. DeepFill v2 draws 12 to 40 pixels at a side of 256: medium.
WIDTHS = {"thin": (0.03, 0.05), "medium": (0.05, 0.15), "thick": (0.15, 0.25)}
# Strokes are added until the hole has a share of the face drawn between these two, whatever their
# width. The last segment adds 14 % at most, so that never half of the face is hidden.
SHARES = (0.12, 0.36)
REFERENCE = 64  # side of the picture in which the share is measured, whatever the face's


def draw_strokes(generator: np.random.Generator, width: str, size: int) -> np.ndarray:
    """Draw strokes until the hole is as large as drawn for this face: bool [size, size].

    A stroke is a chain of segments that turn back and forth by about 72 degrees, of a length
    about a mean.
    """
    target = generator.uniform(*SHARES)
    reference, hole = (np.zeros((side, side), bool) for side in (REFERENCE, size))
    while True:
        for segment in _stroke(generator, *WIDTHS[width]):
            _draw(hole, *segment)
            _draw(reference, *segment)
            if reference.mean() >= target:
                return hole


def _stroke(generator: np.random.Generator, thinnest: float, thickest: float) -> list[tuple]:
    """Segments (start, end, radius) of one stroke, in shares of the face's side."""
    length = np.sqrt(2) / 8  # mean of a segment's, as in DeepFill v2's code
    turn = 2 * np.pi / 5 + generator.uniform(-1, 1) * 2 * np.pi / 15
    radius = generator.uniform(thinnest, thickest) / 2
    start, heading = generator.random(2), generator.uniform(0, 2 * np.pi)
    segments = []
    for number in range(generator.integers(4, 13)):
        angle = heading + (turn if number % 2 else -turn) * generator.uniform(0.5, 1)
        step = np.clip(generator.normal(length, length / 2), 0, 2 * length)
        end = np.clip(start + step * np.array([np.sin(angle), np.cos(angle)]), 0, 1)
        segments.append((start, end, radius))
        start = end
    return segments


def _draw(hole: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    """Add to `hole`, bool [size, size], all pixels no farther than `radius` from a segment.

    Points are (y, x) in shares of the side; the segment's ends are round.
    """
    size = len(hole)
    low = np.floor((np.minimum(start, end) - radius) * size).clip(0, size).astype(int)
    high = np.ceil((np.maximum(start, end) + radius) * size).clip(0, size).astype(int)
    places = centers(size)
    y = places[low[0] : high[0], None] - start[0]
    x = places[None, low[1] : high[1]] - start[1]
    dy, dx = end - start
    along = ((y * dy + x * dx) / max(dy * dy + dx * dx, 1e-12)).clip(0, 1)
    near = (y - along * dy) ** 2 + (x - along * dx) ** 2 <= radius * radius
    hole[low[0] : high[0], low[1] : high[1]] |= near
