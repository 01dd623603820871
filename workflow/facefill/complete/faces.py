"""The test faces that are completed, and the files a completion leaves."""

import hashlib
from pathlib import Path

import numpy as np

from facefill.files import atomic_folder
from facefill.images import contact_sheet, png_bytes, write_gif, write_png
from facefill.split import read_split

GRID_FACES = 16
GIF_FACES = 8


def choose_faces(npy: Path, csv: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Return names and faces, uint8 [N, size, size, 3], of at most `count` faces of a split.

    The choice goes by a hash of the name: the same faces for every method, and nearly the same
    when the split grows. Sorted by name. Raises FacefillError as `read_split` does.
    """
    names, faces = read_split(npy, csv)
    hashes = [hashlib.sha256(name.encode()).digest() for name in names]
    rows = sorted(sorted(range(len(names)), key=hashes.__getitem__)[:count])
    return [names[row] for row in rows], np.asarray(faces[rows])


def spread(total: int, count: int) -> list[int]:
    """At most `count` of `total` numbers, evenly spaced: neighbours often show one person."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()


def fill(faces: np.ndarray, mask: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Known pixels of `faces` where `mask` is True, the method's pixels in the hole."""
    return np.where(mask[:, :, None], faces, filled)


def write_completions(
    folder: Path,
    grid: Path,
    names: list[str],
    faces: np.ndarray,
    mask: np.ndarray,
    completed: np.ndarray,
) -> None:
    """Write one PNG per face into `folder`, and the sheet original | masked | completed."""
    with atomic_folder(folder) as partial:
        for name, face in zip(names, completed, strict=True):
            (partial / f"{name}.png").write_bytes(png_bytes(face))
    shown = spread(len(faces), GRID_FACES)
    write_png(grid, _triples(faces[shown], mask, completed[shown], columns=4, scale=2))


def write_progress(
    gif: Path, faces: np.ndarray, mask: np.ndarray, frames: list[np.ndarray]
) -> None:
    """Write the search as a GIF: each frame the sheet original | masked | completed so far.

    `frames` hold completions of `faces`, uint8 [faces, size, size, 3], at rising steps.
    """
    sheets = [_triples(faces, mask, frame, columns=2, scale=2) for frame in frames]
    write_gif(gif, np.stack(sheets), 0.1)


def _triples(
    faces: np.ndarray, mask: np.ndarray, completed: np.ndarray, columns: int, scale: int
) -> np.ndarray:
    """`columns` times original, masked, completed side by side in every row."""
    masked = fill(faces, mask, np.full_like(faces, 255))
    triples = zip(faces, masked, completed, strict=True)
    rows = [contact_sheet(np.stack(triple), 3, scale) for triple in triples]
    return contact_sheet(np.stack(rows), columns, gap=8)
