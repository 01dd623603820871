"""How like real faces a set of faces is, by dlib's face descriptors."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class KidDlib(SetMetric):
    """KID's estimator (Bińkowski et al. 2018) on dlib's descriptors."""

    heading = "KID on dlib × 1000"
    better = "lower"
    decimals = 2
    factor = 1000
    explanation = (
        "KID on dlib is KID's unbiased estimator (Bińkowski et al. 2018) on dlib's face "
        "descriptors, not on Inception's features, so no published KID compares with it. It lies "
        "near 0, and may be negative, where generated faces are distributed like the true ones."
    )
    place = 10
    applies = ("completions", "generator")

    def measure(self, sets):
        from facefill.core.likeness import kid, kid_matrix
        from facefill.metrics._interval import of_pairs

        both = sets.real_descriptors, sets.fake_descriptors
        return of_pairs(kid(*both), sets.people, kid_matrix(*both))
