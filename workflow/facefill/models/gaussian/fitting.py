"""Fitting a normal to faces: moments, principal components, and the noise by validation."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from facefill.core.images import contact_sheet
from facefill.core.likeness import psnr
from facefill.core.mapped import forget
from facefill.core.masking import Masks, make_masks, observe
from facefill.core.progress import progress
from facefill.core.tensors import random_stream
from facefill.kinds import make
from facefill.models.gaussian import Gaussian
from facefill.models.gaussian.normal import Normal, Posterior, depth_of, parts
from facefill.train.loop import Trained
from facefill.train.task import Training

log = logging.getLogger("facefill.train")

BATCH_VALUES = 12_000_000  # float32 values of faces in memory at a time
MOMENTS = 12_288  # side of the largest matrix of second moments that is accumulated: 600 MB
PASSES = 6  # of the subspace iteration
SHARE = 0.55  # of the components asked of each half of the space of faces, where it is halved
SPARE = 50  # components more than asked for: the last ones converge slowly
NOISES = 2.0 ** np.arange(-10, 1)  # tried, in units of the mean variance of a value
EXPONENTS = np.arange(0, 2.25, 0.25)  # of depth, tried
DRAWS = 4  # holes of a mask that differs from face to face, in validation
FAR = 0.05  # depth of a hole from which on the history calls it far
PAIR = (0.36, 0.25), (0.36, 0.75)  # pixels of the plot in two dimensions, shares of the side
SHEETS = 24  # frames of samples.gif
COLUMNS = 16

Batches = Callable[[], Iterator[Tensor]]


def fit(training: Training, settings: Gaussian) -> Trained:
    """Fit on the faces of `training`; choose the noise by completing its validation faces."""
    faces = training.faces
    normal, total = fit_normal(faces, settings, training.seed)
    variance = max(1.0, float(total.mean()))

    def measure(known: np.ndarray, block: int) -> list[float]:
        return psnr_by_noise(normal, training.validation_faces, known, block, variance)

    history, noise = choose_noise(settings.masks, normal.size, training.zoom, variance, measure)
    normal.noise.copy_(torch.tensor(noise))
    sheets = pictures(normal, training.seed)
    folder = training.checkpoints / "events"
    with SummaryWriter(str(folder)) as events:
        for step, row in enumerate(history.to_dict("records")):
            for name, value in row.items():
                events.add_scalar(name, value, step)
    scale, exponent = normal.noise.tolist()
    return Trained(
        networks={"normal": normal},
        history=history,
        samples=sheets,
        epoch=SHEETS // 4,  # two standard deviations above the mean
        compute="cpu, torch.float32 and torch.float64",
        images=len(faces),
        events=folder,
        facts={
            "components": len(normal.deviations),
            "explained": float(normal.deviations.square().sum() / total.sum()),
            "noise_scale": scale,
            "noise_exponent": exponent,
        },
        drawings=[lambda axis: draw_pair(axis, normal, faces)],
    )


def fit_normal(faces: np.ndarray, settings: Gaussian, seed: int) -> tuple[Normal, Tensor]:
    """Fit all but the noise of known pixels; second, the variance of every value, [values]."""
    mean = mean_face(faces, settings.flips)
    components, variances = components_of(faces, mean, settings, seed)
    normal = Normal(faces.shape[1], len(variances))
    normal.mean.copy_(torch.from_numpy(mean.ravel()))
    normal.components = components
    normal.deviations.copy_(variances.clamp(min=0).sqrt())
    total = torch.from_numpy(total_variance(faces, mean, settings.flips).ravel())
    explained = torch.cat(
        [
            normal.components[part].double().square() @ normal.deviations.square()
            for part in parts(len(normal.mean))
        ]
    )
    normal.residual.copy_((total - explained).clamp(min=0))
    return normal, total


# -- moments and components --------------------------------------------------------------------


def batches(faces: np.ndarray) -> Iterator[np.ndarray]:
    """Yield parts of `faces`, which may exceed the memory."""
    count = max(1, BATCH_VALUES // faces[0].size)
    for start in range(0, len(faces), count):
        yield faces[start : start + count]
        forget(faces)


def mean_face(faces: np.ndarray, flips: bool) -> np.ndarray:
    """The mean of the faces, and of their mirror images: float64 [size, size, 3]."""
    total = sum(batch.sum(axis=0, dtype=np.int64) for batch in batches(faces))
    mean = total / len(faces)
    return (mean + mean[:, ::-1]) / 2 if flips else mean


def total_variance(faces: np.ndarray, mean: np.ndarray, flips: bool) -> np.ndarray:
    """The variance of every value: float64 [size, size, 3]."""
    squares = sum(np.square(batch - mean).sum(axis=0) for batch in batches(faces)) / len(faces)
    return (squares + squares[:, ::-1]) / 2 if flips else squares


def halves(faces: np.ndarray, mean: np.ndarray, flips: bool) -> list[Batches]:
    """The centred faces as rows, float32 [n, values], batch by batch.

    With mirrored faces as well, the covariance has symmetric and antisymmetric eigenvectors, so
    that it falls into two matrices of half the side: sums and differences of left and right.
    """
    middle = faces.shape[2] // 2

    def whole() -> Iterator[Tensor]:
        for batch in batches(faces):
            yield torch.from_numpy((batch - mean).astype(np.float32).reshape(len(batch), -1))

    def folded(sign: int) -> Iterator[Tensor]:
        for rows in whole():
            pictures = rows.view(-1, *faces.shape[1:])
            left, right = pictures[:, :, :middle], pictures.flip(2)[:, :, :middle]
            half = (left + sign * right) / 2**0.5
            if sign > 0:  # of an odd side the column in the middle is its own mirror image
                half = torch.cat([half, pictures[:, :, middle : faces.shape[2] - middle]], 2)
            yield half.flatten(1)

    return [lambda: folded(1), lambda: folded(-1)] if flips else [whole]


def unfolded(found: list[Tensor], size: int, flips: bool) -> Tensor:
    """Components of `halves`, [values, n] each, as components of faces: float32 [3 size^2, n]."""
    if not flips:
        return found[0].float()
    middle, pieces = size // 2, []
    for sign, vectors in zip((1, -1), found, strict=True):
        half = vectors.view(size, -1, 3, vectors.shape[1])
        left = (half[:, :middle] / 2**0.5).float()
        column = (
            half[:, middle:].float()
            if sign > 0
            else left.new_zeros(size, size % 2, *left.shape[2:])
        )
        pieces.append(torch.cat([left, column, sign * left.flip(1)], 1).flatten(0, 2))
    return torch.cat(pieces, 1)


def components_of(
    faces: np.ndarray, mean: np.ndarray, settings: Gaussian, seed: int
) -> tuple[Tensor, Tensor]:
    """Components of faces, float32 [3 size^2, n], and the variances along them, falling."""
    found = [
        principal_components(half, settings, seed) for half in halves(faces, mean, settings.flips)
    ]
    variances = torch.cat([variance for _, variance in found])
    order = variances.argsort(descending=True, stable=True)[: settings.rank]
    components = unfolded([vectors for vectors, _ in found], faces.shape[1], settings.flips)
    return components[:, order], variances[order]


def principal_components(rows: Batches, settings: Gaussian, seed: int) -> tuple[Tensor, Tensor]:
    """Orthonormal components, float64 [values, n], and the variances along them, falling.

    By subspace iteration from random vectors (Halko et al. 2011). Second moments are accumulated
    where they fit into memory; of larger faces each pass reads the faces anew, and needs no more
    memory than the components.
    """
    first = next(rows())
    count, values = sum(len(batch) for batch in rows()), first.shape[1]
    asked = int(settings.rank * SHARE) + 1 if settings.flips else settings.rank
    rank = min(asked + SPARE, values, count)
    moments = None
    if values <= MOMENTS:
        moments = torch.zeros(values, values)
        for batch in rows():
            moments.addmm_(batch.T, batch)

    def multiplied(vectors: Tensor) -> Tensor:
        if moments is not None:
            return moments @ vectors
        return sum(batch.T @ (batch @ vectors) for batch in rows())

    vectors = torch.randn(values, rank, generator=random_stream(seed, 0))
    with progress(PASSES + 1, "fitting", "pass") as bar:
        for _ in range(PASSES):
            vectors = torch.linalg.qr(multiplied(vectors).double())[0].float()
            bar.update()
        products = (vectors.T @ multiplied(vectors)).double() / count
        bar.update()
    variances, turned = torch.linalg.eigh((products + products.T) / 2)
    vectors = vectors.double() @ turned.flip(1)
    largest = vectors.abs().argmax(0)
    vectors *= vectors.gather(0, largest[None]).sign()  # else chance decides
    return vectors[:, :asked], variances.flip(0)[:asked]


# -- the noise ---------------------------------------------------------------------------------


def choose_noise(
    masks: Sequence[dict[str, Any]],
    size: int,
    zoom: float,
    variance: float,
    measure: Callable[[np.ndarray, int], list[float]],
) -> tuple[pd.DataFrame, tuple[float, float]]:
    """Choose what completes validation faces best: what was tried, and the scale and the exponent.

    Under every mask each noise is tried: `measure` returns the mean PSNR in dB of holes for NOISES
    times `variance`, from what is known, bool [size, size], and the side of blocks. The scale and
    the exponent of the hole's depth are those that lose least, mean over the masks, to the best
    noise of each. The table has a row per noise: `noise` (standard deviation), and the mean PSNR in
    dB of holes near known pixels and far from them. `variance` is the mean variance of a value.
    """
    depths, scores = [], []
    with progress(len(masks), "choosing the noise", "masks") as bar:
        for mask in masks:
            kind, names = make("masks", mask), [f"hole {number}" for number in range(DRAWS)]
            made = make_masks(mask, names if kind.per_face else names[:1], size, zoom)
            depths.append([depth_of(known, made.block) for known in made.known])
            tried = [measure(known, made.block) for known in made.known]
            scores.append(np.mean(tried, axis=0))
            bar.update()
    depth = np.array([np.mean(of_mask) for of_mask in depths])
    scores = np.stack(scores)  # [masks, noises]
    steps = np.log(NOISES)
    best, least = (0.0, 0.0), np.inf
    for exponent in EXPONENTS:
        for scale in np.linspace(-12, 8, 201):  # logarithms
            wanted = scale + exponent * np.log(depth)
            reached = [np.interp(w, steps, s) for w, s in zip(wanted, scores, strict=True)]
            loss = float((scores.max(1) - reached).mean())
            if loss < least:
                best, least = (float(np.exp(scale)), float(exponent)), loss
    far = depth >= FAR
    near, far = (scores[part].mean(0) if part.any() else scores.mean(0) for part in (~far, far))
    for mask, d, s in zip(masks, depth, scores, strict=True):
        log.info("%s: depth %.3f, best noise %.3g, %.2f dB", mask, d,
                 (NOISES[s.argmax()] * variance) ** 0.5, s.max())  # fmt: skip
    table = pd.DataFrame({"noise": np.sqrt(NOISES * variance), "val_near": near, "val_far": far})
    return table, (best[0] * variance, best[1])


def psnr_by_noise(
    normal: Normal, faces: np.ndarray, known: np.ndarray, block: int, variance: float
) -> list[float]:
    """The mean PSNR in dB of the holes of `faces` under one mask, for each of NOISES."""
    masks = Masks(known[None].repeat(len(faces), 0), block)
    projected = normal.project(observe(faces, masks), masks.known, block)
    gram = normal.gram(known, block)
    every_z = [Posterior(gram, noise).mean(projected) for noise in NOISES * variance]
    hidden = torch.from_numpy(np.flatnonzero(~known.ravel().repeat(3)))
    filled = np.empty((len(NOISES), len(faces), len(hidden)), np.uint8)
    for part in parts(len(hidden)):
        basis, mean = normal.basis(hidden[part]), normal.mean[hidden[part]]
        for by_noise, z in zip(filled, every_z, strict=True):
            by_noise[:, part] = (mean + z @ basis.T).round().clamp(0, 255).numpy()
    true = faces.reshape(len(faces), -1)[:, hidden.numpy()]
    return [
        float(np.mean([psnr(*pair) for pair in zip(true, by_noise, strict=True)]))
        for by_noise in filled
    ]


# -- pictures ----------------------------------------------------------------------------------


def pictures(normal: Normal, seed: int) -> list[np.ndarray]:
    """Sheets of the mean face and the first components, and of draws, over SHEETS frames."""
    rank = len(normal.deviations)
    shown = min(COLUMNS - 1, rank)
    random = random_stream(seed, 1)
    ends = torch.randn(2, COLUMNS, rank, generator=random, dtype=torch.float64)
    sheets = []
    for angle in np.linspace(0, 2 * np.pi, SHEETS + 1):
        along = torch.zeros(COLUMNS, rank, dtype=torch.float64)
        along[range(1, shown + 1), range(shown)] = 2 * float(np.sin(angle))
        walk = ends[0] * float(np.cos(angle)) + ends[1] * float(np.sin(angle))
        faces = normal.faces(torch.cat([along, walk])).round().clamp(0, 255)
        sheets.append(contact_sheet(faces.to(torch.uint8).numpy(), COLUMNS // 2))
    return sheets


def draw_pair(axis, normal: Normal, faces: np.ndarray) -> None:
    """Draw the normal of one value of two pixels, and that of the one when the other is known."""
    size = normal.size
    (known, hidden), chosen = (
        [3 * (int(y * size) * size + int(x * size)) for y, x in PAIR],
        np.linspace(0, len(faces) - 1, min(500, len(faces))).astype(int),
    )
    pair = [known, hidden]
    points = np.stack([faces[row].ravel()[pair] for row in chosen])
    rows = normal.basis(pair)
    covariance = (rows @ rows.T + normal.residual[pair].diag()).numpy() + 1e-9 * np.eye(2)
    mean = normal.mean[pair].numpy()
    axis.plot(*points.T, ".", color="grey", alpha=0.4, markersize=3)
    turn = np.linspace(0, 2 * np.pi, 200)
    circle = np.linalg.cholesky(covariance) @ np.stack([np.cos(turn), np.sin(turn)])
    for deviations in (1, 2):
        axis.plot(*(mean[:, None] + deviations * circle), color="C0")
    given = mean[0] - covariance[0, 0] ** 0.5
    slope = covariance[0, 1] / covariance[0, 0]
    middle, spread = (
        mean[1] + slope * (given - mean[0]),
        covariance[1, 1] - slope * covariance[0, 1],
    )
    values = np.linspace(0, 255, 300)
    bell = np.exp(-np.square(values - middle) / (2 * spread))
    axis.axvline(given, color="C1", linestyle="--")
    axis.plot(given + 40 * bell, values, color="C1")
    axis.plot(given, middle, "o", color="C1")
    axis.set(title="a known and a hidden pixel", xlabel="known", ylabel="hidden",
             xlim=(0, 255), ylim=(0, 255))  # fmt: skip
