"""Mean absolute difference of the face."""

from facefill.kinds import declare
from facefill.metrics import FaceMetric


@declare
class L1(FaceMetric):
    """Mean absolute difference over all pixels and channels, in grey levels."""

    heading = "L1 of the face [0..255]"
    better = "lower"
    decimals = 1
    place = 40
    shown = ()

    def measure(self, pair):
        from facefill.core.likeness import l1

        return l1(pair.original, pair.completed)
