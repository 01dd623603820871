"""A mask that somebody has drawn, as a PNG."""

from functools import cached_property
from pathlib import Path

from facefill.core.errors import FacefillError
from facefill.core.face_files import FaceFolder
from facefill.kinds import declare, setting
from facefill.masks import Mask


@declare
class File(Mask):
    """Hides what is black in a picture: one for all faces, or one for each."""

    path: str = setting(
        doc="one PNG, or a folder of {face}.png; white = known, black = hole", minLength=1
    )

    learnable = False

    @property
    def per_face(self) -> bool:
        return Path(self.path).is_dir()

    @cached_property
    def folder(self) -> FaceFolder:
        """The folder of masks; it is empty where `path` is one PNG."""
        return FaceFolder(self.path, "masks")

    def content(self, sha256):
        path = Path(self.path)
        return {"sha256": self.folder.checksums(sha256) if path.is_dir() else {"": sha256(path)}}

    def check_used(self, key, config):
        """Read files until one is a mask: only here does a configuration cost NumPy and Pillow."""
        from facefill.masks.file.read import read_mask

        path, reason = Path(self.path), None
        try:
            for file in self.folder.files.values() if path.is_dir() else [path]:
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
        self.folder.log_others(names)

    def known(self, name, size, zoom):
        from facefill.masks.file.read import read_mask

        path = Path(self.path)
        return read_mask(self.folder.file(name) if path.is_dir() else path, size)
