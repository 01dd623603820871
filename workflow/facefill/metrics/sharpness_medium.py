"""How much of the hole's medium details is there, beside the original."""

from facefill.kinds import declare
from facefill.metrics._sharpness import BandRatio


@declare
class SharpnessMedium(BandRatio):
    """Power of the hole's waves of 4 to 8 pixels by that of the original."""

    band = 1
    heading = "sharpness, 4 to 8 pixels"
    place = 73
    shown = ()
