"""Peak signal-to-noise ratio of the face."""

from facefill.kinds import declare
from facefill.metrics import FaceMetric


@declare
class Psnr(FaceMetric):
    """PSNR over all pixels and channels, in dB, at most 100."""

    heading = "PSNR of the face [dB]"
    better = "higher"
    decimals = 2
    place = 20
    shown = ()

    def measure(self, pair):
        from facefill.core.likeness import psnr

        return psnr(pair.original, pair.completed)
