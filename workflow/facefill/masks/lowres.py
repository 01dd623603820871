"""No pixel is known, but the mean colours of blocks are: super-resolution (Amos 2016)."""

from facefill.core.errors import FacefillError
from facefill.kinds import declare, setting
from facefill.masks import Hides, Mask


@declare
class Lowres(Mask):
    """Hides every pixel; the means of square blocks are known."""

    factor: int = setting(
        8, "side of the blocks of which the mean is known; divides align.size", minimum=2
    )

    extents = (Hides.ALL,)
    hides = Hides.ALL

    @property
    def block(self):
        return self.factor

    def check_size(self, size):
        if size % self.factor:
            raise FacefillError(
                f"factor is {self.factor}, expected a divisor of the face's {size} pixels so "
                "that the blocks fill it"
            )

    def known(self, name, size, zoom):
        import numpy as np

        return np.zeros((size, size), bool)
