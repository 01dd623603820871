"""Fluid dynamics (Bertalmio, Bertozzi and Sapiro 2001), as OpenCV has it.

The paper lets isophotes flow into the hole as a fluid would. OpenCV keeps the idea and not the
equation: it marches inwards as for Telea, and weighs a known neighbour by how well the isophote
there points at the pixel.
"""

from typing import Any

import cv2
import numpy as np


def navier_stokes(faces: np.ndarray, known: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Fill faces, arguments and result as of METHODS.

    `radius` is the neighbourhood in pixels that a filled pixel is computed from.
    """
    return np.stack(
        [
            cv2.inpaint(face, (~there).astype(np.uint8), settings["radius"], cv2.INPAINT_NS)
            for face, there in zip(faces, known, strict=True)
        ]
    )
