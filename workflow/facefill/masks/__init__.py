"""Kinds of mask: which pixels of a face are known. 1 = known, 0 = hole, as in Amos and Yeh.

A mask depends on its settings and, where it differs from face to face, on the face's name: never on
other faces or their order. Its lengths are shares of the face's side, so that it looks alike at
every size.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from facefill.core.errors import FacefillError
from facefill.kinds import Config, Kind

if TYPE_CHECKING:
    import numpy as np


class Hides(Enum):
    """How much of a face a mask hides."""

    NOTHING = 0
    PART = 1
    ALL = 2


class Mask(Kind):
    """A kind of mask."""

    per_face = False  # whether `known` depends on the face's name
    learnable: ClassVar[bool] = True  # whether a network can be trained under it
    extents: ClassVar[tuple[Hides, ...]] = (Hides.PART,)  # how much it may hide
    hides: ClassVar[Hides | None] = None  # how much it hides, if its settings do not decide that
    block = 0  # side of square blocks whose mean colours are known; 0 = none

    def known(self, name: str, size: int, zoom: float) -> np.ndarray:
        """Return what is known of the face `name`: bool [size, size].

        `zoom` is the alignment's: it says where the parts of a face lie.
        """
        raise NotImplementedError

    def extent(self, size: int, zoom: float) -> Hides:
        """Return how much is hidden of a face of `size` pixels. Found by drawing one.

        `hides`, or an override, says it without NumPy: Snakemake asks whenever it parses.
        """
        if self.hides is not None:
            return self.hides
        known = self.known("face", size, zoom)
        return Hides.NOTHING if known.all() else Hides.PART if known.any() else Hides.ALL

    def check_size(self, size: int) -> None:
        """Refuse settings that do not fit faces of `size` pixels; the message starts with a key."""

    def check_names(self, names: list[str]) -> None:
        """Log what of the mask is for none of the completed faces `names`."""

    def content(self, sha256: Callable[[str], str]) -> dict[str, Any]:
        """What decides the mask, as its settings: `sha256` returns the checksum of a file."""
        return {name: getattr(self, name) for name in self.settings()}

    def check_used(self, key: str, config: Config) -> None:
        size, zoom = config["align"]["size"], config["align"]["zoom"]
        try:
            self.check_size(size)
        except FacefillError as error:
            raise FacefillError(f"config: {key}.{error}") from error
        extent = self.extent(size, zoom)
        if extent in self.extents:
            return
        if extent is Hides.NOTHING:
            raise FacefillError(
                f"config: {key} hides nothing at {size} pixels; let it hide more, or use kind full"
            )
        raise FacefillError(
            f"config: {key} hides the whole face at {size} pixels; leave some known"
        )
