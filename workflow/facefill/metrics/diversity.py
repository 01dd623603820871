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
    ranked = False
    note = "1 = as the true faces"
    explanation = (
        "Diversity is the mean distance between the descriptors of two completions, as a share of "
        "that of the true faces: 1 is as varied as those."
    )
    place = 20

    def measure(self, sets):
        from facefill.core.likeness import distances, mean_distance
        from facefill.metrics._interval import of_pairs

        real, fake = sets.real_descriptors, sets.fake_descriptors
        expected = mean_distance(real)
        ratio = mean_distance(fake) / expected if expected else float("nan")
        return of_pairs(ratio, sets.people, distances(fake), distances(real))
