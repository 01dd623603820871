"""Whether a completion shows the same person: the distance of dlib's face descriptors."""

from facefill.kinds import declare
from facefill.metrics import FaceMetric


@declare
class IdentityDistance(FaceMetric):
    """Euclidean distance of the descriptors of the original and the completed face."""

    heading = "identity distance"
    better = "lower"
    explanation = (
        "The identity distance is that of dlib's face descriptors of the true and the completed "
        "face. On aligned LFW crops two photos of one person are about 0.46 apart, photos of two "
        "people about 0.78. Models that have learnt from these descriptors, as the captions of "
        "their losses say, are flattered by it, and by verification."
    )
    place = 70

    def measure(self, pair):
        import numpy as np

        # With an axis NumPy adds up in the same order as it does for the rows of a matrix.
        difference = pair.original_descriptor - pair.completed_descriptor
        return float(np.linalg.norm(difference, axis=0))
