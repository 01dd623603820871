"""Completions from outside: by somebody else's program, or finished ones in a folder."""

import os
import shlex
import shutil
from functools import cached_property
from typing import Any, ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.core.face_files import FaceFolder
from facefill.kinds import Config, declare, setting
from facefill.methods import Method

PLACES = ("images", "masks", "output")  # folders that a command is told by {placeholders}


@declare
class External(Method):
    """Fills by a program that you have, or takes finished faces from a folder."""

    command: Any = setting(
        None,
        schema={"type": ["string", "array", "null"], "items": {"type": "string"}},
        doc="the program with its arguments, text or a list of words, started once per mask "
        "without a shell; {images} = a folder of {face}.png, black in the hole, {masks} = one of "
        "{face}.png, white = known, black = hole, {output} = where it writes each {face}.png",
    )
    folder: str | None = setting(
        None, "in place of a command: a folder of finished {face}.png, for one mask"
    )
    known: Literal["paste", "refuse"] = setting(
        "paste",
        "known pixels that come back changed: replaced by the true ones, or an error",
    )

    # Copies the faces with their holes.
    example: ClassVar[Config] = {"command": ["cp", "-R", "{images}/.", "{output}"]}

    @cached_property
    def words(self) -> list[str]:
        """The command's words; [] without one. Raises ValueError for a quote that is not closed."""
        given = self.command or []
        return shlex.split(given) if isinstance(given, str) else [*given]

    @cached_property
    def finished(self) -> FaceFolder:
        return FaceFolder(self.folder, "pictures")

    def content(self, sha256):
        """The command's words, not the program; a folder's pictures, not its path."""
        content = super().content(sha256) | {"command": self.words}
        return content | {"folder": self.folder and self.finished.checksums(sha256)}

    def check(self, key, config):
        try:
            words = self.words
        except ValueError as error:
            raise FacefillError(
                f"config: {key}.command: {error}; close the quote, or give a list of words"
            ) from error
        if self.command is not None and self.folder is not None:
            raise FacefillError(f"config: {key} has a command and a folder; give one of the two")
        absent = [name for name in PLACES if not any(f"{{{name}}}" in word for word in words)]
        if self.command is not None and absent:
            raise FacefillError(
                f"config: {key}.command does not say {{{absent[0]}}}, a folder that it is given; "
                f"name all of {', '.join(f'{{{name}}}' for name in PLACES)}"
            )

    def check_used(self, key, config):
        if self.command is None and self.folder is None:
            raise FacefillError(f"config: {key} has neither a command nor a folder; give one")
        if self.command is not None:
            if not shutil.which(self.words[0]):
                raise FacefillError(
                    f"config: {key}.command: {self.words[0]}: no such program; correct the path, "
                    "install it, or make it executable"
                )
            return
        if not os.path.isdir(self.folder):
            raise FacefillError(
                f"config: {key}.folder: {self.folder}: no such folder; correct the path"
            )
        masks = [name for name in config["compare"]["masks"] if name in (self.masks or [name])]
        if len(masks) > 1:  # what one mask hides, the faces of another show
            raise FacefillError(
                f"config: {key}.folder holds faces of one mask, but is compared under "
                f"{', '.join(masks)}; name its mask in {key}.masks, and give every mask an entry "
                "of its own"
            )

    def complete(self, task):
        from facefill.methods.external.run import complete

        return complete(self, task)
