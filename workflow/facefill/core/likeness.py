"""How alike faces are, one to one (PSNR, L1, SSIM) and as sets (KID, mean distances)."""

import numpy as np

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


def mean_psnr(originals: np.ndarray, completed: np.ndarray, where: np.ndarray) -> float:
    """The mean of `psnr` over the faces that have a pixel `where`; NaN if none has.

    `originals` and `completed` are uint8 [N, height, width, 3], `where` bool [N, height, width].
    """
    triples = zip(originals, completed, where, strict=True)
    return float(np.mean([psnr(*triple) for triple in triples if triple[2].any()]))


def l1(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean absolute difference in grey levels (0..255); arguments as of `psnr`."""
    return float(np.abs(difference(original, completed, where)).mean())


def ssim(original: np.ndarray, completed: np.ndarray) -> tuple[float, np.ndarray]:
    """Structural similarity (Wang et al. 2004): its mean, and its map, float [height, width, 3].

    Both lie in -1..1. It is scikit-image's with a uniform window of 7x7 pixels. The mean leaves
    out a border of half a window; the map reaches to the edge.
    """
    from skimage.metrics import structural_similarity  # costs a second: for measuring only

    return structural_similarity(original, completed, channel_axis=2, data_range=PEAK, full=True)


def difference(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """`original` minus `completed`: float64 [pixels, 3] where `where`, or of the faces' shape."""
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


def kid_matrix(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """What `kid` is the mean of, over all pairs of two: symmetric, float64 [N, N]."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    across = kernel(real, fake)
    return kernel(real, real) + kernel(fake, fake) - across - across.T


def distances(points: np.ndarray) -> np.ndarray:
    """The Euclidean distances of all rows of [N, d]: float64 [N, N]."""
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(points))


def mean_distance(points: np.ndarray) -> float:
    """The mean Euclidean distance of two rows of [N, d], over all pairs; NaN for N < 2."""
    from scipy.spatial.distance import pdist

    return float(pdist(points).mean()) if len(points) > 1 else float("nan")
