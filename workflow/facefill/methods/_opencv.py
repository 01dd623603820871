"""What the methods of OpenCV share."""

from facefill.kinds import declare, setting
from facefill.methods import Method


@declare
class OpenCv(Method):
    """Fills by one of OpenCV's two algorithms, from the hole's edge inwards."""

    radius: float = setting(3, "neighbourhood of a pixel, in pixels", above=0)

    algorithm = ""  # the name of OpenCV's constant

    def fill(self, faces, known):
        import cv2
        import numpy as np

        return np.stack(
            [
                cv2.inpaint(face, hole, self.radius, getattr(cv2, self.algorithm))
                for face, hole in zip(faces, (~known).astype(np.uint8), strict=True)
            ]
        )
