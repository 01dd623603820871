"""Peak signal-to-noise ratio of the hidden pixels."""

from facefill.kinds import declare
from facefill.metrics._hole import HoleMetric


@declare
class HolePsnr(HoleMetric):
    """PSNR over the hidden pixels and all channels, in dB, at most 100."""

    heading = "hole PSNR [dB]"
    better = "higher"
    decimals = 2
    explanation = (
        "PSNR and L1 favour smears: the mean of all possible mouths is nearer to the true one than "
        "a sharp wrong one."
    )
    place = 10

    def measure_hole(self, pair):
        from facefill.core.likeness import psnr

        return psnr(pair.original, pair.completed, pair.hole)
