"""Mean absolute difference of the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare
from facefill.metrics import FaceMetric

if TYPE_CHECKING:
    from facefill.measure import FacePair


@declare
class L1(FaceMetric):
    """Mean absolute difference over all pixels and channels, in grey levels."""

    heading = "L1 of the face [0..255]"
    better = "lower"
    decimals = 1
    place = 40
    shown = ()

    def measure(self, pair: FacePair) -> float:
        from facefill.core.likeness import l1

        return l1(pair.original, pair.completed)
