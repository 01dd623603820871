"""The test faces that are completed, and the files a completion leaves."""

from pathlib import Path

import numpy as np
from PIL import Image

from facefill.core.errors import FacefillError
from facefill.core.files import atomic_folder
from facefill.core.images import contact_sheet, png_bytes, write_gif, write_png
from facefill.core.masking import Masks
from facefill.split import choose

GRID_FACES = 16
GIF_FACES = 8


def fill(observed: np.ndarray, known: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Known pixels of `observed` where `known` is True, the method's pixels in the hole."""
    return np.where(known[..., None], observed, filled)


def masked(observed: np.ndarray, masks: Masks) -> np.ndarray:
    """Faces to look at: hidden pixels white, or as their block where its mean is known."""
    return observed if masks.block else fill(observed, masks.known, np.uint8(255))


def write_completions(folder: Path, names: list[str], completed: np.ndarray) -> None:
    """Write one PNG per face, uint8 [N, size, size, 3], into `folder`."""
    with atomic_folder(folder) as partial:
        for name, face in zip(names, completed, strict=True):
            (partial / f"{name}.png").write_bytes(png_bytes(face))


def read_face(path: Path | str, size: int) -> np.ndarray:
    """Read a face: uint8 [size, size, 3]. Raises FacefillError naming the file when it cannot."""
    try:
        with Image.open(path) as image:
            face = np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise FacefillError(f"{path} is missing; delete its folder and run again") from error
    except Exception as error:  # Pillow's decoders raise nearly every type on damaged data
        raise FacefillError(
            f"{path} is not a readable picture ({type(error).__name__}); delete its folder and "
            "run again"
        ) from error
    if face.shape != (size, size, 3):
        raise FacefillError(
            f"{path} has {face.shape[1]}x{face.shape[0]} pixels instead of {size}x{size}; delete "
            "its folder and run again"
        )
    return face


def read_samples(path: Path | str, count: int, size: int) -> np.ndarray:
    """Return uint8 [count, K, size, size, 3]: K completions of every face, in order of the names.

    The first one of each face is the completion that counts. Raises FacefillError naming the file
    when it holds anything else.
    """
    try:
        samples = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FacefillError(
            f"{path}: not a readable array ({type(error).__name__}); delete it and run again"
        ) from error
    expected = (count, *samples.shape[1:2], size, size, 3)
    if samples.shape != expected or not samples.size or samples.dtype != np.uint8:
        raise FacefillError(
            f"{path} holds {samples.dtype} {list(samples.shape)} instead of uint8 "
            f"[{count}, K, {size}, {size}, 3]; delete it and run again"
        )
    return samples


def write_grid(
    grid: Path, names: list[str], faces: np.ndarray, shown: np.ndarray, completed: np.ndarray
) -> None:
    """Write original | masked | completed of some faces, uint8 [N, size, size, 3] each.

    They are the first GRID_FACES in the order in which faces are chosen to be completed: the same
    for every method, however many it completes.
    """
    some = choose(names, GRID_FACES)
    write_png(grid, _triples(faces[some], shown[some], completed[some], columns=4))


def write_progress(
    gif: Path, faces: np.ndarray, shown: np.ndarray, frames: list[np.ndarray]
) -> None:
    """Write the search as a GIF: each frame the sheet original | masked | completed so far.

    `frames` hold completions of `faces`, uint8 [faces, size, size, 3], at rising steps.
    """
    write_gif(gif, np.stack([_triples(faces, shown, frame, columns=2) for frame in frames]), 0.1)


def _triples(
    faces: np.ndarray, shown: np.ndarray, completed: np.ndarray, columns: int
) -> np.ndarray:
    """`columns` times original, masked, completed side by side in every row, doubled."""
    triples = zip(faces, shown, completed, strict=True)
    rows = [contact_sheet(np.stack(triple), 3, scale=2) for triple in triples]
    return contact_sheet(np.stack(rows), columns, gap=8)
