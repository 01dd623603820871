"""Structural similarity of the hidden pixels (Wang et al. 2004)."""

from facefill.kinds import declare
from facefill.metrics._hole import HoleMetric


@declare
class HoleSsim(HoleMetric):
    """Mean of the SSIM map, in -1..1, over the hidden pixels and all channels."""

    heading = "hole SSIM"
    better = "higher"
    place = 60

    def measure_hole(self, pair):
        return float(pair.ssim[1][pair.hole].mean())
