"""Whether the originals are taken for the right person: what completions could reach."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class VerificationOriginal(SetMetric):
    """As `verification`, of the originals."""

    explanation = (
        "Also the true faces are crops: of 400 pairs of LFW's photos dlib's descriptors tell 98.8 % "
        "rightly, of the same photos as aligned faces of 64 pixels 94.7 %."
    )

    heading = "right person nearest [%]"
    better = "higher"
    ranked = False
    decimals = 1
    factor = 100
    note = "of the true faces"
    place = 31
    shown = ("page", "published")

    def measure(self, sets):
        from facefill.metrics._verification import nearest_is_right

        return nearest_is_right(sets, sets.real_descriptors)
