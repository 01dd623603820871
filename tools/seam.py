"""How visible the rim of a filled hole is: its gradient, to set beside the undamaged photo's."""

import numpy as np


def rim_gradient(photo: np.ndarray, known: np.ndarray) -> float:
    """Mean absolute difference of neighbouring pixels of which one is known and one hidden.

    `photo` is uint8 [height, width, 3], `known` bool [height, width]; in grey levels, over all
    such pairs (beside and below each other) and channels. NaN where there is none.
    """
    pixels = photo.astype(float)
    beside = np.abs(np.diff(pixels, axis=1))[known[:, 1:] != known[:, :-1]]
    below = np.abs(np.diff(pixels, axis=0))[known[1:] != known[:-1]]
    differences = np.concatenate([beside, below])
    return float(differences.mean()) if differences.size else float("nan")
