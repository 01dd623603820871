"""Power in the hole by octave of spatial frequency, beside that of the original."""

from typing import ClassVar

from facefill.metrics._hole import HoleMetric

# Gaussians' standard deviations in pixels: half of the amplitude passes at 0.19 / sigma cycles per
# pixel. What one lets through and the next one does not is a band of an octave.
SIGMAS = (0.0, 0.75, 1.5, 3.0)
FLOOR = 0.05  # squared grey levels: what rounding to 8 bits leaves in a band, in a flat hole, too


class BandRatio(HoleMetric):
    """Power of the hidden pixels' luma in a band, divided by that of the original.

    `band` counts from the finest. 1 = as the true face; less is smeared, more is noise.
    """

    band: ClassVar[int]
    better = "higher"
    ranked = False
    decimals = 2
    note = "1 = as the true faces"

    def measure_hole(self, pair):
        return self._power(pair.completed, pair.hole) / self._power(pair.original, pair.hole)

    def _power(self, face, hole):
        import cv2
        import numpy as np

        luma = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)

        def smooth(sigma):
            return cv2.GaussianBlur(luma, (0, 0), sigma) if sigma else luma

        finer, coarser = SIGMAS[self.band : self.band + 2]
        response = smooth(finer) - smooth(coarser)
        return float(np.square(response[hole], dtype=np.float64).mean()) + FLOOR
