"""How like real faces a set of faces is, by dlib's face descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare
from facefill.metrics import SetMetric

if TYPE_CHECKING:
    from facefill.measure import FaceSet


@declare
class KidDlib(SetMetric):
    """KID's estimator on dlib's descriptors, not on Inception's features: no published KID
    compares with it."""

    heading = "KID on dlib × 1000"
    better = "lower"
    decimals = 2
    factor = 1000
    explanation = (
        "KID on dlib is KID's unbiased estimator (Bińkowski et al. 2018) on dlib's face "
        "descriptors, not on Inception's features, so no published KID compares with it. It lies "
        "near 0, and may be negative, where generated faces are distributed like the true ones."
    )
    place = 10
    applies = ("completions", "generator")

    def measure(self, sets: FaceSet) -> tuple[float, int]:
        from facefill.core.likeness import kid

        return kid(sets.real_descriptors, sets.fake_descriptors), len(sets.real)
