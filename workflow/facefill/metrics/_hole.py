"""Measures of the hole alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.metrics import FaceMetric

if TYPE_CHECKING:
    from facefill.measure import FacePair


class HoleMetric(FaceMetric):
    """A measure of the hidden pixels: NaN where nothing is hidden. Override `measure_hole`."""

    def measure(self, pair: FacePair) -> float:
        return self.measure_hole(pair) if pair.hole.any() else float("nan")

    def measure_hole(self, pair: FacePair) -> float:
        """Compare the hidden pixels, of which there are some."""
        raise NotImplementedError
