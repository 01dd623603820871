"""Kinds of data set: where raw photos come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from facefill.kinds import Kind

IDENTITY = {
    "description": "who is in a photo - folder (the folder it lies in), top (the first folder "
    "below the path; an archive's common folders do not count), file (each its own person) or "
    "{table - file of name and person}",
    "if": {"type": "object"},
    "then": {
        "type": "object",
        "additionalProperties": False,
        "required": ["table"],
        "properties": {"table": {"type": "string", "minLength": 1}},
    },
    "else": {"enum": ["folder", "top", "file"]},
}


class Dataset(Kind):
    """A kind of data set. It makes raw/, or (`rule` None) its photos lie at `path` already."""

    rule: ClassVar[str | None] = None  # the name of the rule that makes raw/
    parallel: ClassVar[bool] = False  # whether it uses all cores
    downloads: ClassVar[bool] = False  # whether it needs the internet
    extra: ClassVar[dict[str, str]] = {}  # files that it writes beside raw/, by name
    strip: ClassVar[bool] = False  # whether a top folder that holds all photos is left out
    identity: Any = "folder"  # who is in a photo, as the setting of that name

    def content(self, sha256: Callable[[str], str]) -> Any:
        """What decides the photos: when it changes, raw/ is made again.

        `sha256` returns the checksum of a file.
        """
        return {name: getattr(self, name) for name in self.settings() if name != "identity"}

    def make_raw(self, raw: Path, *, extra: dict[str, Path], cache: Path, threads: int) -> int:
        """Write the photos into the folder `raw`; return how many.

        `extra` are the files that the kind declares, `cache` keeps downloads, `threads` are the
        job's. Raises FacefillError; then `raw` must not exist.
        """
        raise NotImplementedError
