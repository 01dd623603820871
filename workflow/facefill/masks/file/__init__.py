"""A mask that somebody has drawn, as a PNG."""

from pathlib import Path

from facefill.core.errors import FacefillError
from facefill.kinds import declare, setting
from facefill.masks import Mask


@declare
class File(Mask):
    """Hides what is black in a picture: one for all faces, or one for each."""

    path: str = setting(
        doc="one PNG, or a folder of {face}.png; white = known, black = hole", minLength=1
    )

    per_face = True
    learnable = False

    def files(self) -> list[Path]:
        """The PNGs that may be read, sorted."""
        path = Path(self.path)
        return sorted(path.glob("*.png")) if path.is_dir() else [path]

    def content(self, sha256):
        return {"sha256": {file.name: sha256(file) for file in self.files()}}

    def check_used(self, key, config):
        """Read all files: only here does a configuration cost NumPy and Pillow."""
        from facefill.masks.file.read import read_mask

        files = self.files()
        if not files:
            raise FacefillError(
                f"config: {key}.path: {self.path} holds no PNG; put one {{face}}.png per test "
                "face there"
            )
        for file in files:
            try:
                read_mask(file, config["align"]["size"])
            except FacefillError as error:
                raise FacefillError(f"config: {key}.path: {error}") from error

    def known(self, name, size, zoom):
        from facefill.masks.file.read import read_mask

        path = Path(self.path)
        return read_mask(path / f"{name}.png" if path.is_dir() else path, size)
