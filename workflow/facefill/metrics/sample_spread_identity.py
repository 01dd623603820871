"""How much several completions of one face differ, in identity."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class SampleSpreadIdentity(SetMetric):
    """The mean distance of the descriptors of two samples of one face, then over the faces."""

    heading = "spread of samples"
    better = "higher"
    note = "identity distance"
    place = 40
    applies = ("samples",)

    def measure(self, sets):
        from facefill.core.likeness import mean_distance
        from facefill.metrics._interval import mean

        return mean([mean_distance(s) for s in sets.sample_descriptors], sets.people)
