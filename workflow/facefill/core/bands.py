"""Bands from several draws of a pixel: how often they hold, and the factor that makes them hold.

A true value that is exchangeable with K draws lies between their i-th and their j-th with
probability (j - i) / (K + 1), whatever the distribution, since all ranks are equally probable
(Wilks 1941). So the quantile p has the rank p (K + 1) (Hyndman and Fan 1996, definition 6),
interpolated between two draws; the usual quantiles (definition 7) make bands that hold too rarely.
Where an end would lie beyond the outermost draw (K < 19 for a 90 % band, K < 3 for 50 %), the band
is a normal's prediction interval (Hahn and Meeker 1991): mean +- t s sqrt(1 + 1 / K),
with the standard deviation s of the draws and t of Student's distribution with K - 1 degrees.

Pixels are rounded to grey levels, so that draws and the true value often tie. Noise of half a
level breaks the ties by chance, which keeps the probability exact; else narrow bands, with their
ends counted in, would hold too often.

The factor is a conformal one (Angelopoulos et al. 2022, "Image-to-image regression with
distribution-free uncertainty quantification"): all half widths are multiplied by it, the loss of a
picture is the share of its values outside. Their bound on the loss (Hoeffding and Bentkus) knows
nothing of how little that share varies, and 60 people would have to be covered to 97 %. Instead the
mean loss of n people is corrected to (n loss + 1) / (n + 1) ("Conformal risk control", Angelopoulos
et al. 2024): of a new person, exchangeable with these, 90 % are then covered in expectation. People
count, not pixels: those of one face miss together.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy.stats import t as student

SEED = 0


def band(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The middle and the half width, float64 [n], of the band of K >= 2 draws, [K, n].

    It holds with probability `level` where a true value is exchangeable with the draws.
    """
    count, tail = len(draws), (1 - level) / 2
    if tail * (count + 1) > 1 - 1e-9:  # 0.05 * 20 is 1
        low, high = np.quantile(draws, [tail, 1 - tail], axis=0, method="weibull")
        return (low + high) / 2, (high - low) / 2
    width = student.ppf(1 - tail, count - 1) * math.sqrt(1 + 1 / count)
    return draws.mean(0), width * draws.std(0, ddof=1)


def errors(
    draws: np.ndarray, real: np.ndarray, holes: np.ndarray, level: float
) -> Iterator[np.ndarray]:
    """Yield for each face how far its hidden values lie from the bands' middles, in half widths.

    `draws` are uint8 [N, K, size, size, 3], `real` [N, size, size, 3], `holes` bool
    [N, size, size]. A face gives float64 [hidden values], 1 = on the edge of its band; with one
    draw only there is no band, so that it gives none.
    """
    random = np.random.default_rng(SEED)
    for drawn, face, hole in zip(draws, real, holes, strict=True):
        if len(drawn) < 2:
            yield np.empty(0)
            continue
        values = np.concatenate([drawn[:, hole], face[hole][None]])
        values = values.reshape(len(values), -1)
        values = values + random.uniform(-0.5, 0.5, values.shape)
        middle, half = band(values[:-1], level)
        yield np.abs(values[-1] - middle) / half


def covered(every: Iterable[np.ndarray], factor: float = 1) -> np.ndarray:
    """The share of each face's values within `factor` half widths, [N]; NaN of no values."""
    return np.array([np.mean(face <= factor) if len(face) else math.nan for face in every])


def conformal_factor(
    every: Iterable[np.ndarray], people: Sequence[str], level: float
) -> tuple[float, int]:
    """The least factor of the half widths that makes bands hold for `level` of a new person.

    `every` is what `errors` yields, `people` say whose faces these are. Returns with it the number
    of people; the factor is NaN for fewer than 1 / (1 - level) - 1 of them, who prove nothing.
    """
    parts = [(face, who) for face, who in zip(every, people, strict=True) if len(face)]
    names, counts = np.unique([who for _, who in parts], return_counts=True)
    faces_of, n = dict(zip(names, counts, strict=True)), len(names)
    allowed = ((n + 1) * (1 - level) - 1) / max(1, n)  # mean loss over these people
    if allowed < -1e-9 or not n:
        return math.nan, n
    values = np.concatenate([face for face, _ in parts])
    weights = np.concatenate(
        [np.full(len(face), 1 / (n * faces_of[who] * len(face))) for face, who in parts]
    )
    order = np.argsort(values)
    outside = 1 - np.cumsum(weights[order])  # with each of the values in turn as the factor
    return float(values[order][np.argmax(outside <= allowed + 1e-9)]), n


def reliability(
    draws: np.ndarray, real: np.ndarray, holes: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Expected and actual error of the draws' mean, in grey levels: float64 [bins] each.

    Hidden values of all faces (as of `errors`, K >= 2) are sorted by their draws' standard
    deviation s into bins of equal number. A bin's expected error is the root mean square of
    s sqrt(1 + 1 / K), its actual error that of the draws' mean.
    """
    expected, actual = [], []
    for drawn, face, hole in zip(draws, real, holes, strict=True):
        values = drawn[:, hole].reshape(len(drawn), -1).astype(np.float32)
        expected.append(values.var(0, ddof=1) * (1 + 1 / len(drawn)))
        actual.append(np.square(values.mean(0) - face[hole].ravel()))
    expected, actual = np.concatenate(expected), np.concatenate(actual)
    order = np.argsort(expected, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    squares = [[side[part].mean(dtype=np.float64) for part in parts] for side in (expected, actual)]
    return tuple(np.sqrt(squares))
