"""PSNR of the hole of the best of several samples."""

from facefill.kinds import declare
from facefill.metrics._samples_psnr import SamplesPsnr


@declare
class SamplesPsnrBest(SamplesPsnr):
    """PSNR of the hidden pixels of the sample that comes closest to the true face."""

    heading = "best sample [dB]"
    note = "hole PSNR"
    explanation = (
        "The best sample is chosen by the true face, which nobody has: it says whether the true "
        "filling is among the samples, and it grows with their number."
    )
    place = 62

    def offered(self, samples):
        return samples
