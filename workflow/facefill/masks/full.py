"""Nothing is hidden: shows how well a method reproduces what it sees (Amos 2016)."""

from facefill.kinds import declare
from facefill.masks import Hides, Mask


@declare
class Full(Mask):
    """Hides nothing."""

    learnable = False
    extents = (Hides.NOTHING,)
    hides = Hides.NOTHING

    def known(self, name, size, zoom):
        import numpy as np

        return np.ones((size, size), bool)
