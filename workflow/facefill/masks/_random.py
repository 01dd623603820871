"""Masks that are drawn at random for each face."""

import hashlib

from facefill.kinds import declare, setting
from facefill.masks import Hides, Mask


@declare
class RandomMask(Mask):
    """A mask that differs from face to face, by the face's name and a seed."""

    seed: int = setting(0, "another seed, other masks", minimum=0)

    per_face = True
    hides = Hides.PART

    def generator(self, name: str):
        """The random numbers for one face: a np.random.Generator."""
        import numpy as np

        digest = hashlib.sha256(f"{self.kind}:{name}".encode()).digest()
        return np.random.default_rng([self.seed, int.from_bytes(digest)])


@declare
class ShareMask(RandomMask):
    """A random mask that hides an exact share of the pixels."""

    hidden: float = setting(doc="share of the pixels that are hidden", above=0, below=1)

    def extent(self, size, zoom):
        return {0: Hides.NOTHING, size * size: Hides.ALL}.get(self._pixels(size), Hides.PART)

    def hide_lowest(self, values, size: int):
        """Hide the share of pixels whose `values` [size * size] are lowest: bool [size, size]."""
        import numpy as np

        known = np.ones(len(values), bool)
        known[np.argsort(values, kind="stable")[: self._pixels(size)]] = False
        return known.reshape(size, size)

    def _pixels(self, size: int) -> int:
        return round(self.hidden * (size * size))


def centers(size: int):
    """Where pixels lie in shares of the side: float64 [size]."""
    import numpy as np

    return (np.arange(size) + 0.5) / size
