"""Running somebody else's program, and reading the faces that it, or a folder, has."""

import logging
import math
import os
import signal
import stat
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np

from facefill.complete import Completed, Task, blacken
from facefill.core.errors import FacefillError
from facefill.core.images import TooLargeImage, UnreadableImage, decode_photo, png_bytes
from facefill.core.processes import end_children
from facefill.methods.external import PLACES, External

# What the stages' Python and libraries are told is not for a program with an environment of its
# own: facefill's modules, one thread of OpenBLAS, threads that do not spin.
OWN_VARIABLES = (
    "FACEFILL_FORCED", "FACEFILL_SNAKEMAKE", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY",
    "OPENBLAS_NUM_THREADS",
)  # fmt: skip
FILE_BYTES = PIXELS = 1 << 26  # no face has more: a larger file is not read
# Grey levels that known pixels are off on average: a network that encodes the whole face again
# stays below, colours in the wrong order, a shift or another face's file do not.
SUSPICIOUS = 12

log = logging.getLogger(__name__)


def complete(method: External, task: Task) -> Completed:
    """Complete the faces that have a hole; the time is that of the command alone.

    Raises FacefillError when the command fails, or a picture is missing, no picture, of another
    size or one too many.
    """
    holed = ~task.masks.known.all((1, 2))
    names = [name for name, hidden in zip(task.names, holed, strict=True) if hidden]
    faces, known = blacken(task)
    seconds = math.nan
    if names and method.words:
        filled, seconds = _by_command(method.words, names, faces[holed], known[holed])
    elif names:
        filled = _from_folder(method, names, faces.shape[1])
    if method.folder:
        method.finished.log_others(names)
    if names:
        _compare_known(method, names, faces[holed], filled, task.masks.known[holed])
        faces[holed] = filled
    return Completed(faces=faces, seconds=seconds)


def _by_command(
    words: list[str], names: list[str], faces: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, float]:
    """What the command makes of faces, uint8 [N, size, size, 3], and the seconds it took."""
    shown = f"the command {textwrap.shorten(' '.join(words), 160)!r}"
    with tempfile.TemporaryDirectory(prefix="facefill-", ignore_cleanup_errors=True) as top:
        places = {name: Path(top, name) for name in PLACES}
        for place in places.values():
            place.mkdir()
        for name, face, kept in zip(names, faces, known, strict=True):
            (places["images"] / f"{name}.png").write_bytes(png_bytes(face))
            (places["masks"] / f"{name}.png").write_bytes(png_bytes(np.uint8(255) * kept))
        seconds = _run([_told(word, places) for word in words], shown)
        wrote = set(os.listdir(places["output"]))
        files = {f"{name}.png": name for name in names}
        if missing := [file for file in files if file not in wrote]:
            raise FacefillError(
                f"{shown} wrote no {missing[0]} ({len(missing)} of {len(names)} are missing); "
                "let it write a {face}.png into {output} for every face of {images}"
            )
        if extra := sorted(wrote - files.keys()):
            raise FacefillError(
                f"{shown} wrote {extra[0]!r} ({len(extra)} files too many); let it write nothing "
                "but a {face}.png for every face into {output}"
            )
        size = faces.shape[1]
        pictures = [
            _read(places["output"] / file, size, f"{shown} wrote {file}, which") for file in files
        ]
        return np.stack(pictures), seconds


def _told(word: str, places: dict[str, Path]) -> str:
    """A word of the command with folders in the place of placeholders; other braces stay."""
    for name, place in places.items():
        word = word.replace(f"{{{name}}}", str(place))
    return word


def _run(words: list[str], shown: str) -> float:
    """Run a program, its output line by line into the log; return the seconds it took."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    own = str(Path(__file__).resolve().parents[3])
    path = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(part for part in path if part != own)
    begun, last = time.perf_counter(), ""
    try:
        process = subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        raise FacefillError(
            f"{shown} cannot be started ({error.strerror}); correct it, or make it executable"
        ) from error
    with process:
        try:
            for line in filter(None, map(str.rstrip, process.stdout)):
                log.info("%s", line)
                last = line
            code = process.wait()
        except BaseException:  # Ctrl-C and SIGTERM among them
            end_children(process.pid)
            process.kill()
            raise
    seconds = time.perf_counter() - begun
    if code:
        ended = f"exit code {code}" if code > 0 else signal.Signals(-code).name
        last = f", its last line: {textwrap.shorten(last, 160)}" if last else ""
        raise FacefillError(
            f"{shown} ended with {ended}{last}; mend it by what it says in the log and run again"
        )
    log.info("%s took %.1f s", shown, seconds)
    return seconds


def _from_folder(method: External, names: list[str], size: int) -> np.ndarray:
    missing = [name for name in names if name.lower() not in method.finished.files]
    if missing:
        raise FacefillError(
            f"{method.folder}: {missing[0]}.png is missing ({len(missing)} of {len(names)} faces); "
            f"put a picture of {size}x{size} pixels there, or compare fewer faces"
        )
    return np.stack([_read(file, size, str(file)) for file in map(method.finished.file, names)])


def _read(file: Path, size: int, shown: str) -> np.ndarray:
    """Read a completed face, uint8 [size, size, 3]; `shown` is what a message begins with."""
    remedy = f"expected a PNG of {size}x{size} pixels"
    try:
        info = file.stat()
        if not stat.S_ISREG(info.st_mode) or info.st_size > FILE_BYTES:
            raise FacefillError(f"{shown} is no picture file; {remedy}")
        face = decode_photo(file.read_bytes(), PIXELS)
    except UnreadableImage as error:
        raise FacefillError(f"{shown} is not readable as a picture; {remedy}") from error
    except TooLargeImage as error:
        raise FacefillError(f"{shown} has {error}; {remedy}") from error
    except OSError as error:
        raise FacefillError(f"{shown} cannot be read ({error.strerror}); {remedy}") from error
    if face.shape[:2] != (size, size):
        height, width = face.shape[:2]
        raise FacefillError(f"{shown} has {width}x{height} pixels; {remedy}")
    return face


def _compare_known(
    method: External, names: list[str], faces: np.ndarray, filled: np.ndarray, known: np.ndarray
) -> None:
    """Say how far known pixels, bool [N, size, size], of `filled` are off; refuse if asked to."""
    if not known.any():
        return
    off = np.abs(filled.astype(np.int16) - faces) * known[..., None]
    mean = off.sum() / (3 * known.sum())
    log.info("known pixels: %.2f grey levels off on average, %d at most", mean, off.max())
    if method.known == "refuse" and off.any():
        name = names[int(off.any((1, 2, 3)).argmax())]
        raise FacefillError(
            f"{name}.png came back with other known pixels (all faces: {mean:.2f} grey levels off "
            f"on average, {off.max()} at most); keep them, or set known: paste"
        )
    if mean > SUSPICIOUS:
        log.warning(
            "known pixels came back %.0f grey levels off on average and were replaced: is the "
            "order of the colours right (RGB), and is every picture that of its face?",
            mean,
        )
