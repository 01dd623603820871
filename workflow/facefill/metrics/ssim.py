"""Structural similarity of the face (Wang et al. 2004)."""

from facefill.kinds import declare
from facefill.metrics import FaceMetric


@declare
class Ssim(FaceMetric):
    """Mean SSIM in -1..1, without a border of half a window, as scikit-image has it."""

    heading = "SSIM of the face"
    better = "higher"
    place = 50
    shown = ("page", "published")

    def measure(self, pair):
        return float(pair.ssim[0])
