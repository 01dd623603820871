"""How good one method's completions are: by face and as a set, by all measures of metrics/."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facefill.calibrate import NOT_CALIBRATED, Calibration, draws_of, read_calibration
from facefill.complete import read_face, read_samples
from facefill.core.descriptor import Describer
from facefill.core.errors import FacefillError
from facefill.core.files import read_table, write_table
from facefill.core.likeness import ssim
from facefill.core.masking import make_masks, observe
from facefill.core.progress import progress
from facefill.describe import read_descriptors, read_landmarks
from facefill.landmarks import Landmarks
from facefill.metrics import (
    FLOAT_FORMAT,
    SET_FLOAT_FORMAT,
    SetValue,
    Subject,
    face_metrics,
    set_metrics,
)
from facefill.split import choose, read_split

log = logging.getLogger(__name__)

MASKED = 16


@dataclass(frozen=True, kw_only=True)
class FacePair:
    """A test face and its completion: what a measure of a face is given."""

    original: np.ndarray  # uint8 [size, size, 3]
    completed: np.ndarray  # likewise
    known: np.ndarray  # bool [size, size]
    original_descriptor: np.ndarray  # float64 [128], dlib's
    completed_descriptor: np.ndarray
    original_landmarks: np.ndarray  # float64 [68, 2], x and y in pixels (`facefill.landmarks`)
    completed_landmarks: np.ndarray

    @cached_property
    def hole(self) -> np.ndarray:
        """The hidden pixels, bool [size, size]."""
        return ~self.known

    @cached_property
    def ssim(self) -> tuple[float, np.ndarray]:
        """SSIM's mean and its map, float [size, size, 3] (`facefill.core.likeness.ssim`)."""
        return ssim(self.original, self.completed)


@dataclass(frozen=True, kw_only=True)
class FaceSet:
    """Faces and what is compared with them: what a measure of a whole set is given.

    `fake` are completions of the `real` faces in their order, or as many samples of a generator.
    """

    real: np.ndarray  # uint8 [N, size, size, 3]
    fake: np.ndarray  # likewise
    real_descriptors: np.ndarray  # float64 [N, 128], dlib's
    fake_descriptors: np.ndarray
    holes: np.ndarray | None = None  # bool [N, size, size], of completions
    samples: np.ndarray | None = None  # uint8 [N, K, size, size, 3], K > 1 completions of each face
    sample_descriptors: np.ndarray | None = None  # float64 [N, K, 128]
    mean_first: bool = False  # whether each face's first sample is no draw, but their mean
    calibration: Calibration = NOT_CALIBRATED  # of the samples' bands, by the validation split
    people: np.ndarray | None = None  # str [N], whose faces these are; None = of samples
    # What completions are searched in: all described photos of the split, float64 [M, 128] and
    # str [M], and which of them is the original of each face, int [N].
    gallery: np.ndarray | None = None
    gallery_people: np.ndarray | None = None
    gallery_rows: np.ndarray | None = None
    masked_descriptors: np.ndarray | None = None  # of faces as a method sees them; some are NaN

    @cached_property
    def hidden(self) -> np.ndarray:
        """Which of the faces have a hole, bool [N]; of samples all of them."""
        return np.ones(len(self.real), bool) if self.holes is None else self.holes.any((1, 2))

    @property
    def draws(self) -> np.ndarray:
        """The samples that are draws, uint8 [N, K, size, size, 3]."""
        return draws_of(self.samples, self.mean_first)

    @cached_property
    def textures(self) -> tuple[np.ndarray, np.ndarray]:
        """`_texture.features` of real and fake faces, of those that have a hole: [n, d] each."""
        from facefill.metrics._texture import features

        holes = None if self.holes is None else self.holes[self.hidden]
        return features(self.real[self.hidden], holes), features(self.fake[self.hidden], holes)


def measure(
    *,
    test_npy: Path | str,
    test_csv: Path | str,
    test_descriptors: Path | str,
    test_landmarks: Path | str,
    faces: Path | str,
    samples: Path | str | Sequence[str],
    calibration: Path | str | Sequence[str],
    mask: dict[str, Any],
    zoom: float,
    predictor: Path | str | None,
    mean_first: bool,
    metrics: Path | str,
    set_metrics: Path | str,
) -> int:
    """Measure one method's completions of one mask; return how many faces there are.

    `test_npy` holds uint8 [N, size, size, 3] in the order of `test_csv` (face, identity, source),
    `test_descriptors` and `test_landmarks` what `describe` made of them, the folder `faces` a {face}.png for each
    completed test face, `samples` all completions of a method that makes several (`read_samples`),
    empty for others; `calibration` is that of the samples' bands, empty where there is none, and
    `mean_first` says whether the first sample is no draw.
    `mask` and `zoom` are those of `make_masks`, `predictor` is that of the alignment.

    `metrics` gets a row per face (`face` and the measures of faces), `set_metrics` a row per
    measure of the whole set (metric, value, of how many faces, and the limits of its interval); of
    several samples per face also those that compare them.

    Raises FacefillError when a completion cannot be read, belongs to no test face or to none that
    was described, or differs from its original where the mask says that the pixel is known.
    """
    files = sorted(Path(faces).glob("*.png"), key=lambda file: file.stem)
    if not files:
        raise FacefillError(f"{faces} holds no completed faces; delete the folder and run again")
    names = [file.stem for file in files]
    originals, real, landmarks, gallery = _originals(
        test_npy, test_csv, test_descriptors, test_landmarks, files
    )
    size = originals.shape[1]
    masks = make_masks(mask, names, size, zoom)
    known = masks.known
    completed = np.stack([read_face(file, size) for file in files])
    _check_known(names, originals, completed, known, files)
    drawn = read_samples(samples, len(names), size) if samples else None
    if drawn is not None:
        _check_samples(names, originals, completed, known, drawn, samples)

    describe, columns, rows = Describer(size, zoom), face_metrics(), []
    with progress(2 * len(files), "measure", "steps") as bar:
        fake = describe(completed, bar.update)
        found = Landmarks(predictor, size, zoom)(completed)
        for row, name in enumerate(names):
            pair = FacePair(
                original=originals[row],
                completed=completed[row],
                known=known[row],
                original_descriptor=real[row],
                completed_descriptor=fake[row],
                original_landmarks=landmarks[row],
                completed_landmarks=found[row],
            )
            values = {column: metric.measure(pair) for column, metric in columns.items()}
            rows.append({"face": name} | values)
            bar.update()
    compared = FaceSet(
        real=originals,
        fake=completed,
        real_descriptors=real,
        fake_descriptors=fake,
        holes=~known,
        masked_descriptors=_describe_masked(names, observe(originals, masks), gallery, describe),
        **gallery,
    )
    subjects: list[Subject] = ["completions"]
    if drawn is not None and drawn.shape[1] > 1:
        descriptors = _describe_samples(drawn, describe)
        compared = replace(
            compared,
            samples=drawn,
            sample_descriptors=descriptors,
            mean_first=mean_first,
            calibration=read_calibration(calibration) if calibration else NOT_CALIBRATED,
        )
        subjects.append("samples")
    result = pd.DataFrame(rows)
    write_table(metrics, result, FLOAT_FORMAT)
    write_set_metrics(set_metrics, compared, subjects)
    for column in columns:
        mean, count = result[column].mean(), result[column].count()
        log.info("%s: mean %.3f over %d faces", column, mean, count)
    return len(result)


def write_set_metrics(path: Path | str, compared: FaceSet, subjects: Iterable[Subject]) -> None:
    """Write a row per measure that applies to any of `subjects`: metric and SetValue."""
    metrics = set_metrics(*subjects).items()
    rows = [(name, *SetValue(*metric.measure(compared))) for name, metric in metrics]
    log.info("%s", rows)
    columns = ["metric", *SetValue._fields]
    write_table(path, pd.DataFrame(rows, columns=columns), SET_FLOAT_FORMAT)


def _originals(
    test_npy: Path | str,
    test_csv: Path | str,
    test_descriptors: Path | str,
    test_landmarks: Path | str,
    files: list[Path],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The faces that were completed, uint8 [N, size, size, 3], descriptors, landmarks, gallery.

    The first three, the descriptors [N, 128] and the landmarks [N, 68, 2], are in the order of
    `files`; the last holds people and gallery, as FaceSet has them.
    """
    names, originals = read_split(test_npy, test_csv)
    table = read_table(test_csv, ["face", "identity"], text=["face", "identity"])
    identity = dict(zip(table["face"], table["identity"], strict=True))
    descriptors = read_descriptors(test_descriptors, names)
    landmarks = read_landmarks(test_landmarks, names)
    rows = {name: row for row, name in enumerate(names)}
    for file in files:
        if file.stem not in rows:
            raise FacefillError(
                f"{file}: no face of that name is in {test_csv}; delete {file.parent} and run again"
            )
        for described, place in (descriptors, test_descriptors), (landmarks, test_landmarks):
            if file.stem not in described:
                raise FacefillError(
                    f"{place}: the face {file.stem!r} is not described; delete the file and run "
                    "again"
                )
    chosen = np.asarray(originals[[rows[file.stem] for file in files]])
    described = list(descriptors)
    place = {name: row for row, name in enumerate(described)}
    gallery = {
        "people": np.array([identity[file.stem] for file in files]),
        "gallery": np.array(list(descriptors.values())),
        "gallery_people": np.array([identity[name] for name in described]),
        "gallery_rows": np.array([place[file.stem] for file in files]),
    }
    true_landmarks = np.array([landmarks[file.stem] for file in files])
    return chosen, gallery["gallery"][gallery["gallery_rows"]], true_landmarks, gallery


def _describe_masked(
    names: list[str], observed: np.ndarray, gallery: dict[str, np.ndarray], describe: Describer
) -> np.ndarray:
    """The descriptors of what a method sees, float64 [N, 128], NaN for most faces.

    Of MASKED of those at most whose person has another photo: they are for comparison only, and
    describing takes most of the time of measuring.
    """
    people, count = np.unique(gallery["gallery_people"], return_counts=True)
    several = set(people[count > 1])
    rows = [row for row, person in enumerate(gallery["people"]) if person in several]
    rows = [rows[chosen] for chosen in choose([names[row] for row in rows], MASKED)]
    descriptors = np.full((len(names), gallery["gallery"].shape[1]), np.nan)
    descriptors[rows] = describe(observed[rows])
    return descriptors


def _describe_samples(samples: np.ndarray, describe: Describer) -> np.ndarray:
    """The descriptors, float64 [N, K, 128], of samples, uint8 [N, K, size, size, 3]."""
    count, each = samples.shape[:2]
    with progress(count * each, "measure", "samples") as bar:
        descriptors = describe(samples.reshape(count * each, *samples.shape[2:]), bar.update)
    return descriptors.reshape(count, each, -1)


def _check_samples(
    names: list[str],
    originals: np.ndarray,
    completed: np.ndarray,
    known: np.ndarray,
    samples: np.ndarray,
    file: Path | str,
) -> None:
    """Refuse samples, [N, K, ...], that changed known pixels or do not begin with completions."""
    for name, drawn, face in zip(names, samples, completed, strict=True):
        if not np.array_equal(drawn[0], face):
            raise FacefillError(
                f"face {name!r}: the first sample in {file} is not its completion; delete the "
                "file's folder and run again"
            )
    for number in range(1, samples.shape[1]):
        _check_known(names, originals, samples[:, number], known, [file] * len(names))


def _check_known(
    names: list[str],
    originals: np.ndarray,
    completed: np.ndarray,
    known: np.ndarray,
    files: Iterable[Path | str],
) -> None:
    """Refuse completions, read from `files`, that changed known pixels."""
    rows = zip(names, originals, completed, known, files, strict=True)
    for name, original, face, kept, file in rows:
        differs = (original != face).any(axis=2) & kept
        if differs.any():
            y, x = np.argwhere(differs)[0]
            raise FacefillError(
                f"face {name!r}: {differs.sum()} known pixels of {file} differ from the original, "
                f"the first at column {x}, row {y}; a completion may change hidden pixels only: "
                "delete its folder and run again"
            )
