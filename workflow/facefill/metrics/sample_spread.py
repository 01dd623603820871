"""How much several completions of one face differ, in the hole."""

from facefill.kinds import declare
from facefill.metrics import SetMetric


@declare
class SampleSpread(SetMetric):
    """Root mean squared difference in the hole of two samples of one face, in grey levels.

    Mean over all pairs of samples, then over the faces that have a hole.
    """

    heading = "spread of samples"
    better = "higher"
    decimals = 2
    note = "grey levels in the hole"
    place = 30
    applies = ("samples",)

    def measure(self, sets):
        import numpy as np

        from facefill.core.likeness import mean_distance
        from facefill.metrics._interval import mean

        spreads = []
        for samples, hole in zip(sets.samples, sets.holes, strict=True):
            if hole.any():
                pixels = samples[:, hole].reshape(len(samples), -1).astype(np.float64)
                spreads.append(mean_distance(pixels) / np.sqrt(pixels.shape[1]))
            else:
                spreads.append(np.nan)
        return mean(spreads, sets.people)
