"""Smooth random blobs are hidden (about Yeh's 25 % `pattern`)."""

from facefill.kinds import declare, setting
from facefill.masks._random import ShareMask, centers


@declare
class Pattern(ShareMask):
    """Hides blobs, exactly the share `hidden` of the pixels.

    They are Gaussian-filtered white noise, cut at its quantile. The noise lies on a lattice as
    fine as the filter's sigma, wider than the face: it does not depend on the size in pixels.
    """

    hidden: float = setting(0.25, "share of the pixels that are hidden, in blobs", above=0, below=1)
    blob: float = setting(0.15, "scale of the blobs, as a share of a side", minimum=0.02, maximum=1)

    def known(self, name, size, zoom):
        import numpy as np

        sigma = self.blob / 2
        lattice = np.arange(-4, np.ceil(1 / sigma) + 5) * sigma
        noise = self.generator(name).standard_normal((len(lattice), len(lattice)))
        distance = centers(size)[:, None] - lattice
        kernel = np.exp(-0.5 * (distance / sigma) ** 2)  # [size, len(lattice)]
        return self.hide_lowest((kernel @ noise @ kernel.T).ravel(), size)
