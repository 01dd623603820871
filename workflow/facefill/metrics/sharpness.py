"""How sharp the hole is, beside that of the original."""

from facefill.kinds import declare
from facefill.metrics._sharpness import BandRatio


@declare
class Sharpness(BandRatio):
    """Power of the hole's finest octave (waves of 2 to 4 pixels) by that of the original."""

    band = 0
    heading = "sharpness"
    explanation = (
        "Sharpness is the power of the hole's finest details, waves of 2 to 4 pixels, divided by "
        "that of the true face: below 1 the hole is smeared, above it is noisy; no method wins it."
    )
    place = 72
    shown = ("page", "published")
