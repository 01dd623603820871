"""Masks whose hole is one rectangle."""

from typing import NamedTuple

from facefill.masks import Hides, Mask


class Rectangle(NamedTuple):
    """Rows top to bottom - 1, columns left to right - 1."""

    top: int
    bottom: int
    left: int
    right: int


class RectangleMask(Mask):
    """A mask that hides the rectangle `hole`, the same for all faces."""

    def hole(self, size: int, zoom: float) -> Rectangle:
        """Where the hole is, in pixels of a face of `size`."""
        raise NotImplementedError

    def extent(self, size, zoom):
        hole = self.hole(size, zoom)
        hidden = max(0, hole.bottom - hole.top) * max(0, hole.right - hole.left)
        return {0: Hides.NOTHING, size * size: Hides.ALL}.get(hidden, Hides.PART)

    def known(self, name, size, zoom):
        import numpy as np

        hole = self.hole(size, zoom)
        known = np.ones((size, size), bool)
        known[hole.top : hole.bottom, hole.left : hole.right] = False
        return known
