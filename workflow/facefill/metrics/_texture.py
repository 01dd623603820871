"""Features of the hidden pixels that see blur, noise and colour, and a classifier on them."""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np

# Luma, red minus green, blue minus green.
PLANES = np.array([[0.299, 1, 0], [0.587, -1, -1], [0.114, 0, 1]], np.float32)
SMOOTH = np.array([1, 4, 6, 4, 1], np.float32) / 16
BORDER = cv2.BORDER_REFLECT_101
# The residual filter of Ker and Böhme 2008, which sees what is left beside smooth content.
KER_BOHME = np.array(
    [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2],
     [-1, 2, -2, 2, -1]], np.float32
) / 12  # fmt: skip
FLOOR = 0.1  # of powers in squared grey levels: about what rounding to 8 bits leaves
DIMENSIONS = 84
FOLDS = 10
# Ridge penalty per face. 0.01 to 0.1 find blurred originals (sigma 0.5 and 1), noise, JPEG and
# smooth completions equally well on validation faces, rendered ones and LFW's.
PENALTY = 0.03
STEPS = (1, 2, 4)  # pixels between those that are compared, by scale
LIMIT = 5  # standard deviations; KID's kernel is cubic: a few outliers would be all that it sees
Faces = np.ndarray  # uint8 [N, size, size, 3]


def features(faces: Faces, holes: np.ndarray | None) -> np.ndarray:
    """Describe the hidden pixels of faces, of which each has some: float64 [N, DIMENSIONS].

    `holes` are bool [N, size, size], None = all pixels. Of luma and two colour differences: mean
    and log variance, and of second differences in four directions on three scales, and of the
    residual of Ker and Böhme, the log power and how evenly it is spread (mean absolute value by
    root mean square). The filters look up to ten pixels beyond the hole.
    """
    if holes is None:
        holes = np.ones(faces.shape[:3], bool)
    found = [_describe(*pair) for pair in zip(faces, holes, strict=True)]
    return np.array(found, np.float64).reshape(len(faces), DIMENSIONS)


def detect(real: np.ndarray, fake: np.ndarray, people: Sequence[str]) -> np.ndarray:
    """How often each face and its completion are told apart: 0, 0.5 or 1, float64 [N].

    `real` and `fake` are `features`, [N, d], of the faces of two or more people. A linear
    classifier (ridge regression of the class: Fisher's discriminant with a ridge) that was fitted
    to the faces of other people, in up to FOLDS folds, says of each whether it is real; a face and
    its completion, and all faces of a person, lie in one fold. 0.5 is a draw.
    """
    names = sorted(set(people), key=lambda name: hashlib.sha256(name.encode()).digest())
    folds = min(FOLDS, len(names))
    fold_of = {name: number % folds for number, name in enumerate(names)}
    fold = np.array([fold_of[name] for name in people])
    right = np.empty(len(real))
    for number in range(folds):
        held_out = fold == number
        known = np.concatenate([real[~held_out], fake[~held_out]])
        mean, spread = known.mean(0), known.std(0) + 1e-9
        known = (known - mean) / spread
        labels = np.repeat([1.0, -1.0], len(known) // 2)
        penalty = PENALTY * len(known) * np.eye(known.shape[1])
        weights = np.linalg.solve(known.T @ known + penalty, known.T @ labels)
        # Rounded, so that equal features are a draw whatever the last bits are.
        signs = [
            np.sign(((part[held_out] - mean) / spread @ weights).round(9)) for part in (real, fake)
        ]
        right[held_out] = (2 + signs[0] - signs[1]) / 4
    return right


def standardise(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count `features` in standard deviations from the mean of the `real` ones, up to LIMIT."""
    if not len(real):
        return real, fake
    mean, spread = real.mean(0), real.std(0) + 1e-9
    return tuple(np.clip((part - mean) / spread, -LIMIT, LIMIT) for part in (real, fake))


def _describe(face: np.ndarray, hole: np.ndarray) -> np.ndarray:
    planes = face.astype(np.float32) @ PLANES
    hidden = np.flatnonzero(hole)
    rows, columns = hidden // hole.shape[1], hidden % hole.shape[1]
    mean, spread = cv2.meanStdDev(planes, mask=hole.astype(np.uint8))
    residual = cv2.filter2D(planes, -1, KER_BOHME, borderType=BORDER)
    responses = [residual.reshape(-1, 3).take(hidden, 0)]
    for step in STEPS:
        if step > 1:
            weights = np.zeros((len(SMOOTH) - 1) * step // 2 + 1, np.float32)
            weights[:: step // 2] = SMOOTH
            planes = cv2.sepFilter2D(planes, -1, weights, weights, borderType=BORDER)
        # Second differences are looked up for the hidden pixels alone: faster than filters.
        wide = cv2.copyMakeBorder(planes, step, step, step, step, BORDER)
        width = wide.shape[1]
        pixels, places = wide.reshape(-1, 3), (rows + step) * width + columns + step
        twice = 2 * pixels.take(places, 0)
        for shift in (step, step * width, step * (width + 1), step * (width - 1)):
            both = pixels.take(places + shift, 0) + pixels.take(places - shift, 0)
            responses.append(twice - both)
    # One by one: an array of all of them is larger than the cache and takes twice as long.
    each = np.full(len(hidden), 1 / len(hidden), np.float32)
    size = np.concatenate([each @ np.abs(values) for values in responses]) + FLOOR
    power = np.concatenate([each @ np.square(values) for values in responses]) + FLOOR
    parts = (mean.ravel(), np.log(np.square(spread.ravel()) + FLOOR), np.log(power))
    return np.concatenate([*parts, np.log(size / np.sqrt(power))])
