"""Biharmonic inpainting (Damelin and Hoang 2018), as scikit-image has it.

In the hole the squared Laplacian of each colour channel is 0, so that not only the colours but
also their slopes go on from the known pixels: a thin plate. Values are clipped to those that the
channel has among the known pixels.
"""

from typing import Any

import numpy as np
from skimage.restoration import inpaint_biharmonic

from facefill.core.progress import progress


def biharmonic(faces: np.ndarray, known: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Fill faces, arguments and result as of METHODS. There is nothing to set."""
    filled = np.empty_like(faces)
    with progress(len(faces), "biharmonic", "faces") as bar:
        for number, (face, there) in enumerate(zip(faces, known, strict=True)):
            solution = 255 * inpaint_biharmonic(face / 255, ~there, channel_axis=-1)
            # Halves are rounded alike, wherever the last bits fall.
            filled[number] = solution.round(6).round()
            bar.update()
    return filled
