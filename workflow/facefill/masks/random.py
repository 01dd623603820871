"""Single pixels are hidden at random (Yeh et al. 2017: 80 %)."""

from facefill.kinds import declare, setting
from facefill.masks._random import ShareMask


@declare
class Random(ShareMask):
    """Hides single pixels, exactly the share `hidden` of them."""

    hidden: float = setting(0.8, "share of the pixels that are hidden, singly", above=0, below=1)

    def known(self, name, size, zoom):
        return self.hide_lowest(self.generator(name).permutation(size * size), size)
