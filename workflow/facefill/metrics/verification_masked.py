"""Whether the faces with their holes are taken for the right person."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class VerificationMasked(SetMetric):
    """As `verification`, of the masked faces, what a method sees; of MASKED of them at most."""

    heading = "right person nearest [%]"
    better = "higher"
    ranked = False
    decimals = 1
    factor = 100
    note = "of the masked faces"
    place = 32
    shown = ("page", "published")

    def measure(self, sets):
        from facefill.metrics._verification import nearest_is_right

        return nearest_is_right(sets, sets.masked_descriptors)
