"""No pixel is known, but the mean colours of blocks are: super-resolution (Amos 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from facefill.core.errors import FacefillError
from facefill.kinds import declare, setting
from facefill.masks import Hides, Mask

if TYPE_CHECKING:
    import numpy as np


@declare
class Lowres(Mask):
    """Hides every pixel; the means of square blocks are known."""

    factor: int = setting(
        8,
        minimum=2,
        doc="side of the blocks whose mean colours alone are known; a divisor of align.size",
    )

    extents: ClassVar[tuple[Hides, ...]] = (Hides.ALL,)

    @property
    def block(self) -> int:
        return self.factor

    def extent(self, size: int, zoom: float) -> Hides:
        return Hides.ALL

    def check_size(self, size: int) -> None:
        if size % self.factor:
            raise FacefillError(
                f"factor is {self.factor}, expected a divisor of the face's {size} pixels so "
                "that the blocks fill it"
            )

    def known(self, name: str, size: int, zoom: float) -> np.ndarray:
        import numpy as np

        return np.zeros((size, size), bool)
