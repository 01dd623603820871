"""Peak signal-to-noise ratio of the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare
from facefill.metrics import FaceMetric

if TYPE_CHECKING:
    from facefill.measure import FacePair


@declare
class Psnr(FaceMetric):
    """PSNR over all pixels and channels, in dB, at most 100."""

    heading = "PSNR of the face [dB]"
    better = "higher"
    decimals = 2
    place = 20
    shown = ()

    def measure(self, pair: FacePair) -> float:
        from facefill.core.likeness import psnr

        return psnr(pair.original, pair.completed)
