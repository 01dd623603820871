"""How varied completions are beside their originals."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class Diversity(SetMetric):
    """The mean distance of the descriptors of two completions, divided by that of two originals.

    Near 0 every face gets the same filling; above 1 the fillings differ more than faces do. NaN
    for fewer than two faces, or where all originals are equal.
    """

    heading = "diversity"
    better = "higher"
    note = "1 = as the true faces"
    explanation = (
        "Diversity is the mean distance between the descriptors of two completions, as a share of "
        "that of the true faces: 1 is as varied as those."
    )
    place = 20

    def measure(self, sets):
        from facefill.core.likeness import mean_distance

        expected = mean_distance(sets.real_descriptors)
        ratio = mean_distance(sets.fake_descriptors) / expected if expected else float("nan")
        return ratio, len(sets.real)
