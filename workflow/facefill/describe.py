"""Descriptors and landmarks of a split's true faces, made once for all that is compared."""

from pathlib import Path

import numpy as np

from facefill.core.descriptor import Describer
from facefill.core.descriptor_network import DIMENSIONS
from facefill.core.errors import FacefillError
from facefill.core.files import write_array
from facefill.core.progress import progress
from facefill.landmarks import LANDMARKS, Landmarks
from facefill.split import choose_faces, read_split


def describe(
    npy: Path | str,
    csv: Path | str,
    zoom: float,
    predictor: Path | str | None,
    count: int,
    descriptors: Path | str,
    landmarks: Path | str,
) -> int:
    """Describe at most `count` faces of a split, those of `choose_faces`; return their number.

    `descriptors` gets float64 [N, 128] in the order of `csv`: dlib's descriptors
    (`descriptor.Describer`), NaN for the other faces; `landmarks` float64 [N, 68, 2] likewise
    (`landmarks.Landmarks`). `zoom` and `predictor` are the alignment's. Raises FacefillError when
    the split is damaged.
    """
    names, _ = read_split(npy, csv)
    chosen, faces = choose_faces(npy, csv, count)
    row_of = {name: row for row, name in enumerate(names)}
    rows = [row_of[name] for name in chosen]
    described = np.full((len(names), DIMENSIONS), np.nan)
    found = np.full((len(names), LANDMARKS, 2), np.nan)
    describer = Describer(faces.shape[1], zoom)
    found[rows] = Landmarks(predictor, faces.shape[1], zoom)(faces)
    with progress(len(chosen), "describe", "faces") as bar:
        described[rows] = describer(faces, bar.update)
    write_array(descriptors, described)
    write_array(landmarks, found)
    return len(chosen)


def read_descriptors(path: Path | str, names: list[str]) -> dict[str, np.ndarray]:
    """Return the descriptors, float64 [128] each, of those of a split's faces that have one.

    `names` are all of the split's, in its order. Raises FacefillError naming the file when it
    does not belong to them.
    """
    return _read(path, names, (DIMENSIONS,))


def read_landmarks(path: Path | str, names: list[str]) -> dict[str, np.ndarray]:
    """Return the landmarks, float64 [68, 2] each, as `read_descriptors`."""
    return _read(path, names, (LANDMARKS, 2))


def _read(path: Path | str, names: list[str], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    try:
        described = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FacefillError(
            f"{path}: not a readable array ({type(error).__name__}); delete it and run again"
        ) from error
    expected = (len(names), *shape)
    if described.shape != expected or described.dtype != np.float64:
        raise FacefillError(
            f"{path} holds {described.dtype} {list(described.shape)} instead of float64 "
            f"{list(expected)}; delete it and run again"
        )
    rows = zip(names, described, strict=True)
    return {name: row for name, row in rows if not np.isnan(row).any()}
