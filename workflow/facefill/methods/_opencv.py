"""What the methods of OpenCV share."""

import cv2
import numpy as np


def inpaint(faces: np.ndarray, known: np.ndarray, radius: float, algorithm: int) -> np.ndarray:
    """Fill faces, arguments and result as of `Method.fill`, by one of OpenCV's two algorithms."""
    return np.stack(
        [
            cv2.inpaint(face, (~known_pixels).astype(np.uint8), radius, algorithm)
            for face, known_pixels in zip(faces, known, strict=True)
        ]
    )
