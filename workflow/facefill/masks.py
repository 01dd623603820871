"""Masks: which pixels of a face are known. 1 = known, 0 = hole, as in Amos and Yeh."""

from typing import Any

import numpy as np


def make_mask(settings: dict[str, Any], size: int) -> np.ndarray:
    """Return the mask of one kind for faces of `size` pixels: bool [size, size], True = known."""
    makers = {"center": _center}
    return makers[settings["kind"]](settings, size)


def _center(settings: dict[str, Any], size: int) -> np.ndarray:
    """Hide rows and columns from scale * size up to (1 - scale) * size (Amos 2016)."""
    mask = np.ones((size, size), bool)
    low, high = int(size * settings["scale"]), int(size * (1 - settings["scale"]))
    mask[low:high, low:high] = False
    return mask
