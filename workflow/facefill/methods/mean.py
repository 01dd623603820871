"""The mean face: it knows the training split and looks at nothing else."""

import numpy as np


def mean_face(train: np.ndarray, count: int) -> np.ndarray:
    """The mean of uint8 [N, size, size, 3], `count` times over."""
    total = np.zeros(train.shape[1:], np.int64)
    for start in range(0, len(train), 4096):  # a memory-mapped split need not fit into memory
        total += train[start : start + 4096].sum(axis=0, dtype=np.int64)
    mean = np.round(total / len(train)).astype(np.uint8)
    return np.repeat(mean[None], count, axis=0)
