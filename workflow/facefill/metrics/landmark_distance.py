"""Whether eyes, nose and mouth of a completion lie where they should."""

from facefill.kinds import declare
from facefill.metrics import FaceMetric


@declare
class LandmarkDistance(FaceMetric):
    """Mean distance of dlib's landmarks of original and completion, in pixels of the face.

    Of those of the 68 that lie in the hole of the original; NaN where none does.
    """

    heading = "landmark distance [px]"
    better = "lower"
    decimals = 2
    explanation = (
        "The landmark distance is that of dlib's landmarks of the true and the completed face, of "
        "those in the hole, in pixels. dlib's model knows where a face has its parts: it finds "
        "them in a smear, too."
    )
    place = 75
    shown = ("page", "published")

    def measure(self, pair):
        import numpy as np

        columns, rows = pair.original_landmarks.round().astype(int).T
        height, width = pair.hole.shape
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        inside[inside] = pair.hole[rows[inside], columns[inside]]
        if not inside.any():
            return float("nan")
        difference = (pair.original_landmarks - pair.completed_landmarks)[inside]
        return float(np.linalg.norm(difference, axis=1).mean())
