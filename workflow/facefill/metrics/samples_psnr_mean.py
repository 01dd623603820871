"""PSNR of the hole of the mean of several samples."""

from facefill.kinds import declare
from facefill.metrics._samples_psnr import SamplesPsnr


@declare
class SamplesPsnrMean(SamplesPsnr):
    """PSNR of the hidden pixels of the mean of all samples."""

    heading = "mean of samples [dB]"
    note = "hole PSNR"
    place = 61

    def offered(self, samples):
        return samples.mean(0)[None]
