"""How much of the hole's coarse details is there, beside the original."""

from facefill.kinds import declare
from facefill.metrics._sharpness import BandRatio


@declare
class SharpnessCoarse(BandRatio):
    """Power of the hole's waves of 8 to 16 pixels by that of the original."""

    band = 2
    heading = "sharpness, 8 to 16 pixels"
    place = 74
    shown = ()
