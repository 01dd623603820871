"""The factor of the 90 % bands' widths that validation people chose."""

from facefill.kinds import declare
from facefill.metrics import SetMetric, SetValue


@declare
class ConformalFactor(SetMetric):
    """The factor that makes the 90 % bands hold on validation people, and how many these are."""

    heading = "factor of its width"
    better = "lower"
    ranked = False
    decimals = 2
    note = "over 1: it was too narrow"
    place = 53
    applies = ("samples",)

    def measure(self, sets):
        return SetValue(*sets.calibration)
