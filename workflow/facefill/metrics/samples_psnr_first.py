"""PSNR of the hole of the first of several samples."""

from facefill.kinds import declare
from facefill.metrics._samples_psnr import SamplesPsnr


@declare
class SamplesPsnrFirst(SamplesPsnr):
    """PSNR of the hidden pixels of the first sample, the completion that counts elsewhere."""

    heading = "first sample [dB]"
    note = "hole PSNR"
    place = 60

    def offered(self, samples):
        return samples[:1]
