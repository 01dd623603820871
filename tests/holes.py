"""Faces with holes, for the tests of completion."""

import cv2
import numpy as np

from facefill.core.masking import Masks

EVERY_MASK = {
    "center": {"kind": "center", "scale": 0.25},
    "random": {"kind": "random", "hidden": 0.8, "seed": 0},
    "half": {"kind": "half", "side": "left"},
    "grid": {"kind": "grid", "step": 4},
    "lowres": {"kind": "lowres", "factor": 8},
    "freeform": {"kind": "freeform", "width": "medium", "seed": 0},
}


def everywhere(known: np.ndarray, count: int) -> Masks:
    """One mask for `count` faces."""
    return Masks(np.repeat(known[None], count, axis=0))


def smooth_faces(count: int, size: int) -> np.ndarray:
    """Random pictures of 8x8 blocks with a little noise: uint8 [count, size, size, 3]."""
    random = np.random.default_rng(0)
    side = size // 8
    coarse = random.integers(0, 248, (count, side, side, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return (coarse + random.integers(0, 8, coarse.shape)).astype(np.uint8)


def noise_in_the_hole(faces: np.ndarray, masks: Masks) -> np.ndarray:
    """Other hidden pixels; of the same mean in every block where that is known."""
    if masks.block:
        size = faces.shape[1]
        blocks = faces.reshape(-1, size // masks.block, masks.block, size, 3)
        return blocks[:, :, ::-1].reshape(faces.shape)
    noise = np.random.default_rng(1).integers(0, 256, faces.shape).astype(np.uint8)
    return np.where(masks.known[..., None], faces, noise)


def over_the_mouth(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """What a stroke over the mouth of a photo leaves known, bool; `landmarks` are all 68."""
    known = np.ones(photo.shape[:2], np.uint8)
    ends = np.round(landmarks[[48, 54]]).astype(int).tolist()
    cv2.line(known, *ends, 0, round(np.ptp(landmarks[:, 0]) / 4))
    return known.astype(bool)
