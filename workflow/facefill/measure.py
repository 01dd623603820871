"""How good completions are: per face (PSNR, L1, SSIM, identity) and as a set (KID, diversity).

Source: SSIM is scikit-image's (Wang et al. 2004, uniform 7x7 window). PSNR and KID are those
of facefill.core.likeness, identity is that of facefill.core.descriptor.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from skimage.metrics import structural_similarity

from facefill.complete import read_face, read_samples
from facefill.describe import read_descriptors
from facefill.core.descriptor import Describer
from facefill.core.errors import FacefillError
from facefill.core.files import write_table
from facefill.core.likeness import PEAK, SET_FLOAT_FORMAT, difference, kid, psnr
from facefill.core.masking import make_masks
from facefill.metrics import FACE_METRICS, FLOAT_FORMAT
from facefill.core.progress import progress
from facefill.split import read_split

log = logging.getLogger(__name__)


def l1(original: np.ndarray, completed: np.ndarray, where: np.ndarray | None = None) -> float:
    """Mean absolute difference in grey levels (0..255); arguments as of `psnr`."""
    return float(np.abs(difference(original, completed, where)).mean())


def ssim(original: np.ndarray, completed: np.ndarray) -> tuple[float, np.ndarray]:
    """Structural similarity (Wang et al. 2004): its mean, and its map, float [height, width, 3].

    Both lie in -1..1. The mean is scikit-image's usual one, which leaves out a border of half a
    window; the map reaches to the edge.
    """
    return structural_similarity(original, completed, channel_axis=2, data_range=PEAK, full=True)


def diversity(real: np.ndarray, fake: np.ndarray) -> float:
    """How varied completions are beside their originals: 1 = as varied as the real faces.

    The mean distance between the descriptors `fake` [N, d] of two completions, divided by that of
    `real` [N, d], their originals. Near 0 every face gets the same filling, above 1 the fillings
    differ more than faces do. Returns NaN for fewer than two faces, or all originals equal.
    """
    expected = mean_distance(real)
    return mean_distance(fake) / expected if expected else float("nan")


def mean_distance(points: np.ndarray) -> float:
    """The mean Euclidean distance of two rows of [N, d], over all pairs; NaN for N < 2."""
    return float(pdist(points).mean()) if len(points) > 1 else float("nan")


def sample_spread(samples: np.ndarray, hole: np.ndarray) -> float:
    """How much the completions of one face differ in the hole, in grey levels (0..255).

    `samples` are uint8 [K, size, size, 3], `hole` is bool [size, size]: the root of the mean
    squared difference over the hole's pixels and channels, mean over all pairs of samples.
    Returns NaN where nothing is hidden, or for K < 2.
    """
    pixels = samples[:, hole].reshape(len(samples), -1).astype(np.float64)
    if not pixels.shape[1]:
        return float("nan")
    return mean_distance(pixels) / np.sqrt(pixels.shape[1])


def measure_face(
    original: np.ndarray, completed: np.ndarray, known: np.ndarray
) -> dict[str, float]:
    """Return the pixel metrics of one face; those of the hole are NaN where nothing is hidden.

    `original` and `completed` are uint8 [size, size, 3], `known` is bool [size, size].
    """
    hole = ~known
    similarity, similarities = ssim(original, completed)
    values = dict.fromkeys(("hole_psnr", "hole_l1", "hole_ssim"), float("nan"))
    values |= {
        "psnr": psnr(original, completed),
        "l1": l1(original, completed),
        "ssim": float(similarity),
    }
    if hole.any():
        values["hole_psnr"] = psnr(original, completed, hole)
        values["hole_l1"] = l1(original, completed, hole)
        values["hole_ssim"] = float(similarities[hole].mean())
    return values


def measure(
    test_npy: Path | str,
    test_csv: Path | str,
    test_descriptors: Path | str,
    faces: Path | str,
    samples: Path | str | None,
    mask: dict[str, Any],
    zoom: float,
    metrics: Path | str,
    set_metrics: Path | str,
) -> int:
    """Measure one method's completions of one mask; return how many faces there are.

    `test_npy` holds uint8 [N, size, size, 3] in the order of `test_csv` (face, identity, source),
    `test_descriptors` what `describe` made of them, the folder `faces` a {face}.png for each
    completed test face, `samples` all completions of a method that makes several (`read_samples`).
    `mask` and `zoom` are those of `make_masks`.

    `metrics` gets a row per face (`face` and FACE_METRICS), `set_metrics` a row per measure of the
    whole set (metric, value, and of how many faces). `kid_dlib` there is KID's estimator on dlib's
    face descriptors, not on Inception's features: lower is better, but no published KID compares
    with it. `diversity` is that of the descriptors; of several samples per face, `sample_spread`
    is the function's mean over the faces, and `sample_spread_identity` the mean over the faces of
    the mean distance of two samples' descriptors.

    Raises FacefillError when a completion cannot be read, belongs to no test face or to none that
    was described, or differs from its original where the mask says that the pixel is known.
    """
    files = _completed_files(Path(faces))
    names = [file.stem for file in files]
    originals, real = _originals(test_npy, test_csv, test_descriptors, files)
    size = originals.shape[1]
    masks = make_masks(mask, names, size, zoom)
    drawn = read_samples(samples, len(names), size) if samples else None
    describe = Describer(size, zoom)
    table, completions = [], np.empty_like(originals)
    with progress(2 * len(files), "measure", "steps") as bar:  # pixels and identity of every face
        for row, (file, original, known) in enumerate(
            zip(files, originals, masks.known, strict=True)
        ):
            completed = completions[row] = read_face(file, size)
            _check_known(file.stem, original, completed, known, file)
            if drawn is not None:
                _check_samples(file.stem, original, completed, known, drawn[row], samples)
            table.append({"face": file.stem, **measure_face(original, completed, known)})
            bar.update()
        fake = describe(completions, bar.update)
    result = pd.DataFrame(table).assign(identity_distance=np.linalg.norm(real - fake, axis=1))
    result = result[["face", *FACE_METRICS]]
    write_table(metrics, result, FLOAT_FORMAT)
    sets = [
        ("kid_dlib", kid(real, fake), len(result)),
        ("diversity", diversity(real, fake), len(result)),
    ]
    if drawn is not None and drawn.shape[1] > 1:
        sets += _sample_spreads(drawn, ~masks.known, describe)
    columns = ["metric", "value", "faces"]
    write_table(set_metrics, pd.DataFrame(sets, columns=columns), SET_FLOAT_FORMAT)
    for name in FACE_METRICS:
        log.info("%s: mean %.3f over %d faces", name, result[name].mean(), result[name].count())
    return len(result)


def _completed_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.png"), key=lambda file: file.stem)
    if not files:
        raise FacefillError(f"{folder} holds no completed faces; delete the folder and run again")
    return files


def _originals(
    test_npy: Path | str, test_csv: Path | str, test_descriptors: Path | str, files: list[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """The faces that were completed, uint8 [N, size, size, 3], and their descriptors, [N, 128].

    Both in the order of `files`.
    """
    names, originals = read_split(test_npy, test_csv)
    descriptors = read_descriptors(test_descriptors, names)
    rows = {name: row for row, name in enumerate(names)}
    for file in files:
        if file.stem not in rows:
            raise FacefillError(
                f"{file}: no face of that name is in {test_csv}; delete {file.parent} and run again"
            )
        if file.stem not in descriptors:
            raise FacefillError(
                f"{test_descriptors}: the face {file.stem!r} is not described; delete the file and "
                "run again"
            )
    chosen = np.asarray(originals[[rows[file.stem] for file in files]])
    return chosen, np.array([descriptors[file.stem] for file in files])


def _sample_spreads(
    samples: np.ndarray, holes: np.ndarray, describe: Describer
) -> list[tuple[str, float, int]]:
    """The spread of every face's samples in the hole and in identity: (metric, mean, faces)."""
    count, each = samples.shape[:2]
    with progress(count * each, "measure", "samples") as bar:
        descriptors = describe(samples.reshape(count * each, *samples.shape[2:]), bar.update)
    spreads = {
        "sample_spread": [sample_spread(*face) for face in zip(samples, holes, strict=True)],
        "sample_spread_identity": [
            mean_distance(face) for face in descriptors.reshape(count, each, -1)
        ],
    }
    rows = []
    for name, values in spreads.items():
        values = [value for value in values if not np.isnan(value)]  # of faces with a hole
        rows.append((name, float(np.mean(values)) if values else float("nan"), len(values)))
    return rows


def _check_samples(
    name: str,
    original: np.ndarray,
    completed: np.ndarray,
    known: np.ndarray,
    samples: np.ndarray,
    file: Path | str,
) -> None:
    if not np.array_equal(samples[0], completed):
        raise FacefillError(
            f"face {name!r}: the first sample in {file} is not its completion; delete the file's "
            "folder and run again"
        )
    for sample in samples[1:]:
        _check_known(name, original, sample, known, file)


def _check_known(
    name: str, original: np.ndarray, completed: np.ndarray, known: np.ndarray, file: Path | str
) -> None:
    differs = (original != completed).any(axis=2) & known
    if differs.any():
        y, x = np.argwhere(differs)[0]
        raise FacefillError(
            f"face {name!r}: {differs.sum()} known pixels of {file} differ from the original, "
            f"the first at column {x}, row {y}; a completion may change hidden pixels only: delete "
            "its folder and run again"
        )
