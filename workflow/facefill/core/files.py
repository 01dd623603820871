"""Files that appear whole or not at all, tables that read back as they were written."""

import csv
import hashlib
import io
import json
import os
import platform
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote

from facefill.core.errors import FacefillError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd  # costs half a second: only the functions that need it import it

# A ZIP entry carries a date; a constant one keeps equal content at equal bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


def own_suffix() -> str:
    """What tells a file of this process from those of others, also on other nodes."""
    host = "".join(c if c.isalnum() else "-" for c in platform.node())
    return f"{host[:40]}-{os.getpid()}"


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffix) that replaces it if all goes well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{own_suffix()}.partial{path.suffix}")
    try:
        yield partial
        # On the disk before it has its name: a power cut must not leave an empty file there.
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path | str) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that replaces it if all goes well."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.{own_suffix()}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that had the same number
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_partials(path: Path | str) -> None:
    """Remove what processes that were killed have left of a file or folder.

    No process may be writing it now.
    """
    path = Path(path)
    names = "|".join(
        rf"\.{re.escape(stem)}\.[^.]+-\d+\.partial{re.escape(suffix)}"
        for stem, suffix in [(path.stem, path.suffix), (path.name, "")]  # a file's, a folder's
    )
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        if re.fullmatch(names, entry.name):
            _remove(entry)


def _remove(path: Path) -> None:
    """Remove a file or folder, whatever permissions an archive gave what is in it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    os.chmod(path, 0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            if not os.path.islink(inner := os.path.join(folder, name)):
                os.chmod(inner, 0o700)
    shutil.rmtree(path)


def copy_folder(source: Path | str, folder: Path | str) -> None:
    with atomic_folder(folder) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)


def write_bytes(path: Path | str, data: bytes | memoryview) -> None:
    """Write a file that appears whole or not at all."""
    with atomic(path) as partial:
        partial.write_bytes(data)


def read_json(path: Path | str, complaint: str) -> dict[str, Any]:
    """Read an object; raises FacefillError with `complaint` when there is none."""
    try:
        return dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FacefillError(f"{path}: {complaint}") from error


def write_array(path: Path | str, array: "np.ndarray") -> None:
    """Write an array as .npy."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array)
    write_bytes(path, buffer.getbuffer())


def local_path(url: str) -> str:
    """Return the path that a file:// address means."""
    given = url.removeprefix("file://").removeprefix("localhost")
    path = unquote(given)
    # A name may really hold a %20.
    return given if not os.path.exists(path) and os.path.exists(given) else path


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_text(text: str) -> str:
    return sha256_bytes(text.encode("utf-8", "surrogateescape"))


def sha256_file(path: Path | str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_path(path: Path | str) -> str:
    """Return the sha256 of a file, or of a folder: of the names and sha256 of all files in it."""
    path = Path(path)
    if not path.is_dir():
        return sha256_file(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*"))
    lines = [f"{sha256_file(file)} {name}\n" for name, file in files if file.is_file()]
    return sha256_text("".join(lines))


class _Lines:
    """A CSV file whose lines end in a newline, and whose cells may hold a carriage return.

    Python's csv quotes a carriage return only where it is part of the line ending.
    """

    END = "\r\n"

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix(self.END) + "\n")


@contextmanager
def _lines(path: Path | str) -> Iterator[_Lines]:
    with (
        atomic(path) as partial,
        # File names that are not UTF-8 survive the round trip.
        open(partial, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield _Lines(file)


@contextmanager
def csv_rows(path: Path | str) -> Iterator[Any]:
    """Yield a csv.writer for a table built row by row; it appears when the block ends well."""
    with _lines(path) as lines:
        yield csv.writer(lines, lineterminator=_Lines.END)


def write_table(path: Path | str, table: "pd.DataFrame", float_format: str | None = None) -> None:
    """Write a CSV: UTF-8, newline endings on every system, no index column."""
    with _lines(path) as lines:
        table.to_csv(lines, index=False, lineterminator=_Lines.END, float_format=float_format)


def read_table(
    path: Path | str, columns: Iterable[str], text: Iterable[str] = ()
) -> "pd.DataFrame":
    """Read a CSV that must have `columns`; those in `text` stay strings (a person may be "NA").

    Raises FacefillError naming the file when it is damaged or lacks a column.
    """
    import pandas as pd

    columns = list(columns)
    try:
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values={name: [""] for name in columns if name not in set(text)},
            encoding_errors="surrogateescape",
        )
    except (ValueError, OSError) as error:
        raise FacefillError(
            f"{path}: not a readable table ({error}); delete it and run again"
        ) from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes a cell too many for an index
        raise FacefillError(
            f"{path}: its lines have more cells than its header; delete the file and run again"
        )
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise FacefillError(
            f"{path}: the column {missing[0]!r} is missing; delete the file and run again"
        )
    return table


def add_to_zip(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Store `data` uncompressed (PNG already is) under a constant date."""
    archive.writestr(zipfile.ZipInfo(name, date_time=ZIP_DATE), data)
