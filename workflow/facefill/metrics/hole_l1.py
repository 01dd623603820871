"""Mean absolute difference of the hidden pixels."""

from facefill.kinds import declare
from facefill.metrics._hole import HoleMetric


@declare
class HoleL1(HoleMetric):
    """Mean absolute difference over the hidden pixels and all channels, in grey levels."""

    heading = "hole L1 [0..255]"
    better = "lower"
    decimals = 1
    place = 30
    shown = ("page",)

    def measure_hole(self, pair):
        from facefill.core.likeness import l1

        return l1(pair.original, pair.completed, pair.hole)
