"""Single pixels on a grid are known (Amos 2016, step 4)."""

from facefill.kinds import declare, setting
from facefill.masks import Hides, Mask


@declare
class Grid(Mask):
    """Hides all but every step-th pixel of every step-th row."""

    step: int = setting(4, "only every step-th pixel of every step-th row is known", minimum=2)

    hides = Hides.PART

    def known(self, name, size, zoom):
        import numpy as np

        known = np.zeros((size, size), bool)
        known[:: self.step, :: self.step] = True
        return known
