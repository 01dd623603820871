"""Single pixels are hidden at random (Yeh et al. 2017: 80 %)."""

from facefill.kinds import declare, setting
from facefill.masks._random import ShareMask


@declare
class Random(ShareMask):
    """Hides single pixels, exactly the share `hidden` of them."""

    hidden: float = setting(0.8, exclusiveMinimum=0, exclusiveMaximum=1, doc="share of the pixels")

    def known(self, name, size, zoom):
        return self.hide_lowest(self.generator(name).permutation(size * size), size)
