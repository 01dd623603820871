"""How alike faces are, one to one (PSNR) and as sets (KID); shared by several stages."""

import numpy as np

SET_FLOAT_FORMAT = "%.9f"  # of measures of whole sets: two good sets differ in the fifth decimal
PEAK = 255.0
# Equal pixels have an infinite PSNR, which no mean survives. 100 dB is far above what 8-bit
# pictures reach otherwise: one grey level in one value of a 64x64 face is 89 dB.
MAX_PSNR = 100.0


def psnr(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB of one face, over the pixels `where` and all channels.

    `original` and `completed` are uint8 [height, width, 3], `where` bool [height, width] or None
    for all pixels: 10 log10(255^2 / mean squared difference), at most MAX_PSNR.
    """
    error = np.square(difference(original, completed, where)).mean()
    return MAX_PSNR if error == 0 else min(MAX_PSNR, float(10 * np.log10(PEAK**2 / error)))


def difference(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """`original` minus `completed` where asked: float64 [pixels, 3] or of the faces' shape."""
    minus = original.astype(np.float64) - completed
    return minus if where is None else minus[where]


def kid(real: np.ndarray, fake: np.ndarray) -> float:
    """Unbiased squared MMD with KID's polynomial kernel (Binkowski et al. 2018, section 4).

    `real` and `fake` are descriptors, [N, d] each; the kernel is (x.y / d + 1)^3. The estimate is
    0 on average for two samples of one distribution and may be negative. It is the U-statistic of
    Gretton et al. 2012, lemma 6, which leaves out real[i] with fake[i]: those two may be a face
    and its completion, which are more alike than two draws. Returns NaN for N < 2.
    """
    if len(real) < 2:
        return float("nan")

    def mean_of_pairs(a: np.ndarray, b: np.ndarray) -> float:
        values = (a @ b.T / a.shape[1] + 1) ** 3
        return (values.sum() - np.trace(values)) / (len(a) * (len(a) - 1))

    within = mean_of_pairs(real, real) + mean_of_pairs(fake, fake)
    return float(within - 2 * mean_of_pairs(real, fake))
