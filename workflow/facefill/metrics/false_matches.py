"""How often completions are taken for other people."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class FalseMatches(SetMetric):
    """The share of other people's test photos that lie within dlib's 0.6 of a completion."""

    heading = "false matches [%]"
    better = "lower"
    decimals = 2
    factor = 100
    explanation = (
        "False matches is the share of other people's photos whose descriptor is nearer than 0.6, "
        "where dlib's author takes two photos for one person; on crops true faces have some, too."
    )
    place = 33

    def measure(self, sets):
        from facefill.metrics._verification import false_matches

        return false_matches(sets, sets.fake_descriptors)
