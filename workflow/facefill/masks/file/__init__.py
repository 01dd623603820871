"""A mask that somebody has drawn, as a PNG."""

import logging
import os
import re
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from facefill.core.errors import FacefillError
from facefill.kinds import declare, setting
from facefill.masks import Mask

FACE_FILE = re.compile(
    r"([A-Za-z0-9_-][A-Za-z0-9._-]*)\.png", re.IGNORECASE
)  # as flatten names faces
SQUARE_PNG = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(....)\1", re.DOTALL)
SHOWN = 3  # names in a line

log = logging.getLogger(__name__)


@declare
class File(Mask):
    """Hides what is black in a picture: one for all faces, or one for each."""

    path: str = setting(
        doc="one PNG, or a folder of {face}.png; white = known, black = hole", minLength=1
    )

    per_face = True
    learnable = False

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
        """The files of the folder that may be a face's, by its name in lower case."""
        found: dict[str, Path] = {}
        for name in self.entries:
            if match := FACE_FILE.fullmatch(name):
                face, file = match[1].lower(), Path(self.path, name)
                if face in found:
                    raise FacefillError(
                        f"{self.path}: {found[face].name} and {name} are masks of one face; keep "
                        "one of them"
                    )
                found[face] = file
        return found

    def content(self, sha256):
        path = Path(self.path)
        if not path.is_dir():
            return {"sha256": {"": sha256(path)}}
        # Who is tested is not known here, but that no screenshot is square.
        files = {face: file for face, file in self.files.items() if _is_square_png(file)}
        return {"sha256": {face: sha256(file) for face, file in files.items()}}

    def check_used(self, key, config):
        """Read files until one is a mask: only here does a configuration cost NumPy and Pillow."""
        from facefill.masks.file.read import read_mask

        path, reason = Path(self.path), None
        try:
            for file in self.files.values() if path.is_dir() else [path]:
                try:
                    read_mask(file, config["align"]["size"])
                    return
                except FacefillError as error:  # it may be no test face's
                    reason = reason or error
            raise reason or FacefillError(
                f"{self.path} holds no PNG; put one {{face}}.png per test face there"
            )
        except FacefillError as error:
            raise FacefillError(f"config: {key}.path: {error}") from error

    def check_names(self, names):
        used = {self.files[name.lower()].name for name in names if name.lower() in self.files}
        if others := [name for name in self.entries if name not in used]:
            shown = ", ".join(map(repr, others[:SHOWN]))
            log.warning(
                "%s: %d of %d files passed over, which belong to no face that is completed (%s%s)",
                *(self.path, len(others), len(self.entries), shown),
                ", ..." if len(others) > SHOWN else "",
            )

    def known(self, name, size, zoom):
        from facefill.masks.file.read import read_mask

        path = Path(self.path)
        if path.is_dir():
            path = self.files.get(name.lower(), path / f"{name}.png")
        return read_mask(path, size)


def _is_square_png(file: Path) -> bool:
    """Whether a file is one by its first bytes; one that cannot be read is told when it is used."""
    with suppress(OSError):
        if file.is_file():
            with open(file, "rb") as start:
                return bool(SQUARE_PNG.match(start.read(24)))
    return False
