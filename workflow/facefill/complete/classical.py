"""Completion without a network: OpenCV's inpainting and the mean face."""

from typing import Any

import cv2
import numpy as np


def telea(faces: np.ndarray, mask: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Fill uint8 [N, size, size, 3] by fast marching (Telea 2004, "An image inpainting technique").

    `radius` is the neighbourhood in pixels that a filled pixel is computed from.
    """
    hole = (~mask).astype(np.uint8)
    # What lies in the hole must not matter: OpenCV gets it blackened.
    known = faces * mask[:, :, None]
    return np.stack(
        [cv2.inpaint(face, hole, settings["radius"], cv2.INPAINT_TELEA) for face in known]
    )


def mean_face(train: np.ndarray, count: int) -> np.ndarray:
    """The mean of uint8 [N, size, size, 3], `count` times over."""
    total = np.zeros(train.shape[1:], np.int64)
    for start in range(0, len(train), 4096):  # a memory-mapped split need not fit into memory
        total += train[start : start + 4096].sum(axis=0, dtype=np.int64)
    mean = np.round(total / len(train)).astype(np.uint8)
    return np.repeat(mean[None], count, axis=0)
