"""A folder in which somebody keeps one {face}.png for each face: masks, or finished faces."""

import logging
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from facefill.core.errors import FacefillError

FACE_FILE = re.compile(
    r"([A-Za-z0-9_-][A-Za-z0-9._-]*)\.png", re.IGNORECASE
)  # as flatten names faces
SQUARE_PNG = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(....)\1", re.DOTALL)
SHOWN = 3  # names in a line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FaceFolder:
    """The folder `path`, which may hold other files, too."""

    path: str
    holds: str  # the plural of what a file is, for messages

    @cached_property
    def entries(self) -> list[str]:
        """What lies in the folder, sorted; [] where there is none."""
        try:
            return sorted(os.listdir(self.path)) if os.path.isdir(self.path) else []
        except OSError as error:
            raise FacefillError(
                f"{self.path}: cannot be read ({error.strerror}); give yourself the right to"
            ) from error

    @cached_property
    def files(self) -> dict[str, Path]:
        """The files that may be a face's, by its name in lower case."""
        found: dict[str, Path] = {}
        for name in self.entries:
            if match := FACE_FILE.fullmatch(name):
                face, file = match[1].lower(), Path(self.path, name)
                if face in found:
                    raise FacefillError(
                        f"{self.path}: {found[face].name} and {name} are {self.holds} of one "
                        "face; keep one of them"
                    )
                found[face] = file
        return found

    def file(self, face: str) -> Path:
        """The file of a face, or where it should lie."""
        return self.files.get(face.lower(), Path(self.path, f"{face}.png"))

    def checksums(self, sha256: Callable[[Path], str]) -> dict[str, str]:
        """The checksums of what may be a face's, by its name in lower case.

        Who is tested is not known here, but that no screenshot is square.
        """
        files = {face: file for face, file in self.files.items() if _is_square_png(file)}
        return {face: sha256(file) for face, file in files.items()}

    def log_others(self, faces: Iterable[str]) -> None:
        """Log what lies in the folder and belongs to none of `faces`."""
        used = {self.files[face.lower()].name for face in faces if face.lower() in self.files}
        if others := [name for name in self.entries if name not in used]:
            shown = ", ".join(map(repr, others[:SHOWN]))
            log.warning(
                "%s: %d of %d files passed over, which belong to no face that is completed (%s%s)",
                *(self.path, len(others), len(self.entries), shown),
                ", ..." if len(others) > SHOWN else "",
            )


def _is_square_png(file: Path) -> bool:
    """Whether a file is one by its first bytes; one that cannot be read is told when it is used."""
    with suppress(OSError):
        if file.is_file():
            with open(file, "rb") as start:
                return bool(SQUARE_PNG.match(start.read(24)))
    return False
