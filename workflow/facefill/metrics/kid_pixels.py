"""How like real faces a set of faces is, by the pixels themselves."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class KidPixels(SetMetric):
    """KID's estimator on the pixels in [-1, 1]: no published KID compares with it."""

    heading = "KID on pixels × 1000"
    better = "lower"
    decimals = 2
    factor = 1000
    explanation = "KID on pixels is the same estimator on the pixels in [-1, 1]."
    place = 50
    applies = ("generator",)

    def measure(self, sets):
        from facefill.core.likeness import kid

        real, fake = (faces.reshape(len(faces), -1) / 127.5 - 1 for faces in (sets.real, sets.fake))
        return kid(real, fake), len(real)
