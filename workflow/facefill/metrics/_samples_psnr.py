"""PSNR of the hole of what several samples offer."""

from facefill.metrics import SetMetric


class SamplesPsnr(SetMetric):
    """PSNR of the hidden pixels, in dB, of the best of `offered`, mean over the faces."""

    better = "higher"
    ranked = False  # that of the first is, face by face; here methods have their own numbers K
    decimals = 2
    applies = ("samples",)

    def offered(self, samples):
        """The faces to choose from, [.., size, size, 3], of samples uint8 [K, size, size, 3]."""
        raise NotImplementedError

    def measure(self, sets):
        import numpy as np

        from facefill.core.likeness import psnr
        from facefill.metrics._interval import mean

        values = np.full(len(sets.real), np.nan)
        for row in np.flatnonzero(sets.hidden):
            face, hole = sets.real[row], sets.holes[row]
            values[row] = max(psnr(face, one, hole) for one in self.offered(sets.samples[row]))
        return mean(values, sets.people)
