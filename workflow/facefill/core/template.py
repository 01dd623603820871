"""OpenFace's face template and the affine maps it defines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np  # imported late: the Snakefile needs the template without it

# Mean positions of dlib's landmarks, min-max normalised to the unit square (OpenFace, align_dlib).
# Keys are iBUG 300-W landmark numbers, counted from 0; left and right are the picture's.
TEMPLATE = {
    33: (0.494951, 0.514441),  # below the nose
    36: (0.194157, 0.169267),  # outer corner of the left eye
    39: (0.363785, 0.177947),  # inner corner of the left eye
    42: (0.618963, 0.172778),  # inner corner of the right eye
    45: (0.788859, 0.158171),  # outer corner of the right eye
    57: (0.500204, 0.750584),  # middle of the lower lip's lower edge
}
ANCHORS = {
    "innerEyesAndBottomLip": (39, 42, 57),
    "outerEyesAndNose": (36, 45, 33),
}


def positions(landmarks: tuple[int, ...], size: int, zoom: float) -> list[tuple[float, float]]:
    """Where `landmarks` lie in an aligned face, as x, y in pixels.

    With `zoom` 1 the template's unit square is the face, as in OpenFace; a smaller zoom shrinks
    it around the middle of the face, so that more of the head is seen.
    """
    return [
        tuple(((share - 0.5) * zoom + 0.5) * size for share in TEMPLATE[number])
        for number in landmarks
    ]


def template_points(landmarks: tuple[int, ...], size: int, zoom: float) -> "np.ndarray":
    """`positions` as float32 [len(landmarks), 2]."""
    import numpy as np

    return np.array(positions(landmarks, size, zoom), np.float32)
