"""The stage complete: what a method is given, what it returns, and the files that stay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facefill.core.errors import FacefillError
from facefill.core.files import atomic_folder, write_array, write_table
from facefill.core.images import contact_sheet, enlargement, png_bytes, write_gif, write_png
from facefill.core.masking import Masks
from facefill.split import choose

GRID_FACES = 16
GIF_FACES = 8


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a method is given: what may be known of some faces, and the files that it refers to."""

    names: list[str]
    observed: np.ndarray  # uint8 [N, size, size, 3], as facefill.core.masking.observe makes it
    masks: Masks
    # By the setting that names a model: its weights.safetensors and settings.json.
    models: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    # By the setting that names a method: its completions of the same faces, like `observed`.
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    train: np.ndarray | None = None  # uint8 [N, size, size, 3], where the method needs them
    seed: int = 0
    device: str = "cpu"

    @property
    def watched(self) -> list[int]:
        """The numbers of the faces that GIFs show: the same for every method."""
        return choose(self.names, GIF_FACES)


@dataclass(kw_only=True)
class Completed:
    """What a method returns: of the optional fields those that its `extra` declares."""

    faces: np.ndarray  # uint8 [N, size, size, 3]; only the hole's pixels count
    samples: np.ndarray | None = None  # uint8 [N, K, size, size, 3], the first ones are `faces`
    z: np.ndarray | None = None  # float32 [N, z_dim]
    search: pd.DataFrame | None = None  # face, step, loss, contextual, prior, unweighted
    progress: list[np.ndarray] = field(default_factory=list)  # of the watched faces, like `faces`
    interpolation: Sequence[np.ndarray] = ()  # likewise: frames of a walk between their samples
    course: list[tuple[int, float]] = field(default_factory=list)  # steps, and seconds until then
    seconds: float | None = None  # that the faces took; None = the job's time, NaN = unknown


def fill_holes(fill: Callable[[np.ndarray, np.ndarray], np.ndarray], task: Task) -> Completed:
    """Complete by a function that knows nothing of block means or faces without a hole.

    `fill` gets faces that have known pixels and a hole, uint8 [N, size, size, 3], black in the
    hole, and what is known, bool [N, size, size]. A face of which nothing is known becomes black.
    """
    completed, known = blacken(task)
    holed = known.any((1, 2)) & ~known.all((1, 2))
    if holed.any():
        faces, known = completed[holed], known[holed]
        completed[holed] = lay_in(faces, known, fill(faces, known))
    return Completed(faces=completed)


def blacken(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return faces that are black where they are hidden, so that hidden pixels cannot matter.

    uint8 [N, size, size, 3], and what is known, bool [N, size, size]. Where only block means are
    known, they are taken for the colours of the blocks' middles.
    """
    observed, known = task.observed, task.masks.known
    if task.masks.block:
        known = known | _middles(observed.shape[1], task.masks.block)
    return observed * known[..., None], known


def _middles(size: int, block: int) -> np.ndarray:
    """True at the middle pixels of every block (one or two squared): bool [size, size]."""
    within = np.arange(size) % block
    middle = (within == block // 2) | (within == (block - 1) // 2)
    return middle[:, None] & middle


def write(result: Completed, task: Task, originals: np.ndarray, files: dict[str, Path]) -> None:
    """Write the completions of a task: `faces`, `grid`, and of EXTRA what `files` names.

    `originals` are uint8 [N, size, size, 3], for the sheets that are to be looked at.
    """
    observed, known = task.observed, task.masks.known
    completed = lay_in(observed, known, result.faces)
    shown = masked(observed, task.masks)
    if "search" in files:
        write_table(files["search"], result.search, float_format="%.5f")
    if "z" in files:
        write_array(files["z"], result.z)
    if "samples" in files:
        write_array(files["samples"], result.samples)
    films = {"progress": [*result.progress, result.faces[task.watched]]}
    films["interpolation"] = result.interpolation
    for name in films.keys() & files.keys():
        rows = task.watched
        frames = [lay_in(observed[rows], known[rows], frame) for frame in films[name]]
        sheets = [_triples(originals[rows], shown[rows], frame, columns=2) for frame in frames]
        write_gif(files[name], np.stack(sheets), 0.1)
    write_completions(files["faces"], task.names, completed)
    write_grid(files["grid"], task.names, originals, shown, completed)


def lay_in(observed: np.ndarray, known: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Pixels of `observed` where `known` is True, of `filled` in the hole."""
    return np.where(known[..., None], observed, filled)


def masked(observed: np.ndarray, masks: Masks) -> np.ndarray:
    """Faces to look at: hidden pixels white, or as their block where its mean is known."""
    return observed if masks.block else lay_in(observed, masks.known, np.uint8(255))


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
    """Write original | masked | completed of GRID_FACES faces, uint8 [N, size, size, 3] each.

    They are chosen in the order in which faces are chosen to be completed: the same for every
    method, however many it completes.
    """
    rows = choose(names, GRID_FACES)
    write_png(grid, _triples(faces[rows], shown[rows], completed[rows], columns=4))


def _triples(
    faces: np.ndarray, shown: np.ndarray, completed: np.ndarray, columns: int
) -> np.ndarray:
    """`columns` times original, masked, completed side by side in every row."""
    triples, scale = zip(faces, shown, completed, strict=True), enlargement(faces.shape[1])
    rows = [contact_sheet(np.stack(triple), 3, scale) for triple in triples]
    return contact_sheet(np.stack(rows), columns, gap=8)
