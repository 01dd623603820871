"""Faces as the measures get them, for their tests."""

import cv2
import numpy as np

from facefill.core.template import ANCHORS, template_points
from facefill.measure import FacePair
from facefill.render import render_photo


def face_pair(original, completed, known, **more) -> FacePair:
    """A face and its completion; descriptors and landmarks are 0 unless `more` has others."""
    nowhere, nobody = np.zeros((68, 2)), np.zeros(128)
    given = {
        "original_descriptor": nobody,
        "completed_descriptor": nobody,
        "original_landmarks": nowhere,
        "completed_landmarks": nowhere,
    }
    return FacePair(original=original, completed=completed, known=known, **given | more)


def rendered_face(person: int, shot: int, size: int) -> np.ndarray:
    """A rendered photo, aligned by the renderer's landmarks: uint8 [size, size, 3]."""
    anchors = ANCHORS["innerEyesAndBottomLip"]
    photo, landmarks = render_photo(0, person, shot)
    source = np.asarray(landmarks, np.float32)[list(anchors)]
    matrix = cv2.getAffineTransform(source, template_points(anchors, size, 1.0))
    return cv2.warpAffine(photo, matrix, (size, size), flags=cv2.INTER_AREA)
