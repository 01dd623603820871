"""Completing faces as matrices of low rank (Candès and Recht 2009; of pictures, Hu et al. 2013).

A row or a column of pixels that is wholly hidden is not determined by the others: it becomes the
mean known colour.
"""

import numpy as np

from facefill.core.progress import progress

BATCH = 16  # faces at a time, so that the progress bar moves


def soft_impute(
    faces: np.ndarray, known: np.ndarray, iterations: int, threshold: float
) -> np.ndarray:
    """Fill faces, arguments and result as of `Method.fill`.

    Every face is a matrix of size x 3 size, the three channels side by side, so that all of them
    share the same few column patterns. The last iteration takes `threshold`, as a share of the
    largest, off the singular values.
    """
    filled = np.empty_like(faces)
    with progress(len(faces), "low rank", "faces") as bar:
        for start in range(0, len(faces), BATCH):
            batch = slice(start, start + BATCH)
            filled[batch] = _soft_impute(faces[batch], known[batch], iterations, threshold)
            bar.update(len(filled[batch]))
    return filled


def _soft_impute(
    faces: np.ndarray, known: np.ndarray, iterations: int, threshold: float
) -> np.ndarray:
    """Mazumder, Hastie and Tibshirani 2010, algorithm 1, with one iteration per threshold.

    Z <- S(known entries of X, others of Z), where S shrinks the singular values. The thresholds
    fall geometrically from the largest singular value, so that strong patterns come first.
    """
    shape = faces.shape
    # Shrinking draws hidden entries to 0, which should be the mean colour and not black.
    mean = (faces.sum((1, 2)) / known.sum((1, 2))[:, None])[:, None, None]
    x = _matrices(np.where(known[..., None], faces - mean, 0))
    known_entries = _matrices(np.broadcast_to(known[..., None], shape))
    largest = np.linalg.norm(x, 2, axis=(1, 2))[:, None]
    z = x
    for share in np.geomspace(1, threshold, iterations):
        z = _shrink(np.where(known_entries, x, z), share * largest)
    pixels = z.reshape(*shape[:2], 3, shape[2]).transpose(0, 1, 3, 2) + mean
    # Rounded first, so that the last bits do not decide how a half is rounded.
    return pixels.round(6).round().clip(0, 255).astype(np.uint8)


def _matrices(pixels: np.ndarray) -> np.ndarray:
    """[N, size, size, 3] as [N, size, 3 size]."""
    count, size = pixels.shape[:2]
    return pixels.transpose(0, 1, 3, 2).reshape(count, size, 3 * size)


def _shrink(matrices: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Take `thresholds`, [N, 1], off the singular values of [N, m, n]; below they become 0.

    With A = U S V', the result U (S - t)+ V' is U diag((S - t)+ / S) U' A, and U and S^2 are the
    eigenvectors and eigenvalues of A A': cheaper than V, where m is less than n.
    """
    squares, u = np.linalg.eigh(matrices @ matrices.transpose(0, 2, 1))
    values = np.sqrt(squares.clip(0))
    kept = np.divide(values - thresholds, values, where=values > thresholds, out=values * 0)
    return u @ (kept[..., None] * (u.transpose(0, 2, 1) @ matrices))
