"""Fast marching (Telea 2004, "An image inpainting technique"), as OpenCV has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare, setting
from facefill.methods import Method

if TYPE_CHECKING:
    import numpy as np


@declare
class Telea(Method):
    """Fills from the hole's edge inwards, each pixel from the known ones near it."""

    radius: float = setting(
        3,
        exclusiveMinimum=0,
        doc="neighbourhood in pixels of OpenCV's inpainting (Telea 2004)",
    )

    def fill(self, faces: np.ndarray, known: np.ndarray) -> np.ndarray:
        import cv2

        from facefill.methods._opencv import inpaint

        return inpaint(faces, known, self.radius, cv2.INPAINT_TELEA)
