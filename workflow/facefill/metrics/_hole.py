"""Measures of the hole alone."""

from facefill.metrics import FaceMetric


class HoleMetric(FaceMetric):
    """A measure of the hidden pixels: NaN where nothing is hidden. Override `measure_hole`."""

    def measure(self, pair):
        return self.measure_hole(pair) if pair.hole.any() else float("nan")

    def measure_hole(self, pair):
        """As `measure`, for faces of which something is hidden."""
        raise NotImplementedError
