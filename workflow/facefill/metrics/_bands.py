"""How often the bands of several samples hold."""

from typing import ClassVar

from facefill.metrics import SetMetric


class Coverage(SetMetric):
    """The share of hidden values within the band of their draws, by face, then over the faces.

    Bands are those of `facefill.core.bands`, `level` is the share that they promise. With `scaled`
    they are as wide as people of the validation split made them. NaN for fewer than two draws.
    """

    level: ClassVar[float]
    scaled: ClassVar[bool] = False
    better = "higher"
    ranked = False
    decimals = 1
    factor = 100
    applies = ("samples",)

    def measure(self, sets):
        import numpy as np

        from facefill.core.bands import covered, errors
        from facefill.metrics._interval import mean

        factor = sets.calibration.factor if self.scaled else 1
        shares = covered(errors(sets.draws, sets.real, sets.holes, self.level), factor)
        return mean(shares if np.isfinite(factor) else np.full(len(shares), np.nan), sets.people)
