"""Fluid dynamics (Bertalmio, Bertozzi and Sapiro 2001), as OpenCV has it.

The paper lets isophotes flow into the hole as a fluid would. OpenCV keeps the idea and not the
equation: it marches inwards as for Telea, and weighs a known neighbour by how well the isophote
there points at the pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facefill.kinds import declare, setting
from facefill.methods import Method

if TYPE_CHECKING:
    import numpy as np


@declare
class NavierStokes(Method):
    """Fills from the hole's edge inwards, along isophotes."""

    radius: float = setting(
        3,
        exclusiveMinimum=0,
        doc="neighbourhood in pixels of OpenCV's inpainting (after Bertalmio 2001)",
    )

    def fill(self, faces: np.ndarray, known: np.ndarray) -> np.ndarray:
        import cv2

        from facefill.methods._opencv import inpaint

        return inpaint(faces, known, self.radius, cv2.INPAINT_NS)
