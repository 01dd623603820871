"""Completion without a network: OpenCV's inpainting and the mean face."""

from typing import Any

import cv2
import numpy as np

from facefill.masks import Masks


def telea(observed: np.ndarray, masks: Masks, settings: dict[str, Any]) -> np.ndarray:
    """Fill uint8 [N, size, size, 3] by fast marching (Telea 2004, "An image inpainting technique").

    `radius` is the neighbourhood in pixels that a filled pixel is computed from. Where only block
    means are known, they are taken for the colours of the blocks' middles.
    """
    known = masks.known
    if masks.block:
        known = known | _middles(observed.shape[1], masks.block)
    hidden = (~known).astype(np.uint8)
    # What lies in the hole must not matter: OpenCV gets it blackened.
    return np.stack(
        [
            cv2.inpaint(face, hole, settings["radius"], cv2.INPAINT_TELEA)
            for face, hole in zip(observed * known[..., None], hidden, strict=True)
        ]
    )


def _middles(size: int, block: int) -> np.ndarray:
    """True at the middle pixels of every block (one or two squared): bool [size, size]."""
    within = np.arange(size) % block
    middle = (within == block // 2) | (within == (block - 1) // 2)
    return middle[:, None] & middle


def mean_face(train: np.ndarray, count: int) -> np.ndarray:
    """The mean of uint8 [N, size, size, 3], `count` times over."""
    total = np.zeros(train.shape[1:], np.int64)
    for start in range(0, len(train), 4096):  # a memory-mapped split need not fit into memory
        total += train[start : start + 4096].sum(axis=0, dtype=np.int64)
    mean = np.round(total / len(train)).astype(np.uint8)
    return np.repeat(mean[None], count, axis=0)
