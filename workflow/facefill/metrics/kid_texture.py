"""How like real faces a set of faces is, by the texture of what was filled."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class KidTexture(SetMetric):
    """KID's estimator (Bińkowski et al. 2018) on the features of `detectability`.

    They are counted in standard deviations of the originals' (`_texture.standardise`).
    """

    heading = "KID on texture"
    better = "lower"
    decimals = 3
    explanation = (
        "KID on texture is the same estimator on the features of detectability: it sees the blur "
        "that identity descriptors ignore, and seams."
    )
    place = 15
    applies = ("completions", "generator")

    def measure(self, sets):
        from facefill.core.likeness import kid, kid_matrix
        from facefill.metrics._interval import of_pairs
        from facefill.metrics._texture import standardise

        real, fake = standardise(*sets.textures)
        people = None if sets.people is None else sets.people[sets.hidden]
        return of_pairs(kid(real, fake), people, kid_matrix(real, fake))
