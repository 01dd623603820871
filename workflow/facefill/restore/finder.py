"""Finding faces under holes, and reading where a user says that they are."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import dlib
import numpy as np

from facefill.align import (
    CNN_SIDES,
    LARGE,
    MAX_STRETCH,
    MIN_SIDE,
    Aligner,
    _enlarge,
    _like_hog,
    _load_cnn,
)
from facefill.core.errors import FacefillError
from facefill.restore.shape import shape

LOWERED = -0.5  # the HOG detector's threshold where nothing else finds a face
RADIUS = 3  # of Telea's algorithm, in pixels


class Found(NamedTuple):
    """A face in a photo.

    `detector` is hog (the photo as it is), hog_filled (its hole filled by Telea), cnn, hog_low or
    faces.csv; `landmarks` float64 [68, 2] in pixels of the upright photo; `matrix` float64 [2, 3],
    photo to face.
    """

    detector: str
    certainty: float
    landmarks: np.ndarray
    matrix: np.ndarray


class FaceFinder:
    """Finds faces of which a hole hides a part."""

    def __init__(self, aligner: Aligner):
        self.aligner = aligner
        self.cnn = aligner.cnn or _load_cnn()

    def __call__(self, pixels: np.ndarray, known: np.ndarray) -> list[Found]:
        """All faces, the most certain first.

        `pixels` are RGB uint8 [height, width, 3], `known` bool [height, width].
        """
        small, hole, scale = _shrunken(pixels, known)
        filled = cv2.inpaint(small, hole, RADIUS, cv2.INPAINT_TELEA)
        candidates = self._candidates(small, filled, scale)
        whole = _enlarged(filled, pixels, known)
        found = []
        for detector, certainty, box in _distinct(candidates):
            face = self._place(whole, box)
            if face is not None:
                found.append(Found(detector, certainty, *face))
        return found

    def _candidates(self, small, filled, scale) -> list[tuple[str, float, dlib.rectangle]]:
        candidates = []
        for name, image, threshold in (
            ("hog", small, 0.0),
            ("hog_filled", filled, 0.0),
            ("hog_low", filled, LOWERED),
        ):
            boxes, scores, _ = self.aligner.detector.run(image, 0, threshold)
            candidates += [
                (name, score, _enlarge(box, *scale))
                for box, score in zip(boxes, scores, strict=True)
            ]
        for side in CNN_SIDES:
            height, width = filled.shape[:2]
            factor = side / max(height, width)
            size = round(width * factor), round(height * factor)
            if min(size) < MIN_SIDE:
                continue
            way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            to_photo = scale[0] * width / size[0], scale[1] * height / size[1]
            candidates += [
                ("cnn", face.confidence, _like_hog(_enlarge(face.rect, *to_photo)))
                for face in self.cnn(cv2.resize(filled, size, interpolation=way), 0)
            ]
        return candidates

    def _place(self, photo, box) -> tuple[np.ndarray, np.ndarray] | None:
        """Landmarks and matrix of the face in `box`; None where the landmarks lie on a line."""
        points = self.aligner.predictor(photo, box).parts()
        landmarks = np.array([(point.x, point.y) for point in points], np.float64)
        matrix = to_face(self.aligner, landmarks)
        return None if matrix is None else (landmarks, matrix)


def to_face(aligner: Aligner, landmarks: np.ndarray) -> np.ndarray | None:
    """The matrix of landmarks [68, 2] as the aligner makes it; None where they lie on a line."""
    matrix = cv2.getAffineTransform(landmarks[aligner.anchors].astype(np.float32), aligner.targets)
    largest, smallest = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return matrix if smallest * MAX_STRETCH > largest else None


def _shrunken(pixels, known):
    """A copy of at most LARGE pixels, its hole as uint8, and how much larger the photo is."""
    height, width = known.shape
    factor = min(1.0, math.sqrt(LARGE / (height * width)))
    size = round(width * factor), round(height * factor)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    # A pixel of the copy is known where all that it averages is.
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return small, (share < 1 - 1e-4).astype(np.uint8), (width / size[0], height / size[1])


def _enlarged(filled, pixels, known):
    """The photo whose hole is filled from the copy `filled`."""
    height, width = known.shape
    fill = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], pixels, fill)


def _distinct(candidates):
    """The most certain of those that overlap, the most certain first."""
    kept = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate[1]):
        if all(_overlap(candidate[2], other[2]) < 0.3 for other in kept):
            kept.append(candidate)
    return kept


def _overlap(one: dlib.rectangle, other: dlib.rectangle) -> float:
    """Share of the smaller box that lies in the other."""
    return one.intersect(other).area() / min(one.area(), other.area())


BOX = ("left", "top", "right", "bottom")
POINTS = tuple(f"{point}_{axis}" for point in ("left_eye", "right_eye", "mouth") for axis in "xy")
LEFT_EYE, RIGHT_EYE, MOUTH = slice(36, 42), slice(42, 48), slice(48, 68)  # landmarks


def read_faces(path: Path, aligner: Aligner) -> dict[str, list[Found]]:
    """Read where a user says that faces are: the photo's name -> its faces, in the table's order.

    `path` is a CSV with a header and one face a line. Column photo: the photo's path below the
    folder of the set. Either the box around the face, from the brows to the chin and from ear to
    ear (left, top, right, bottom), or the centres of both eyes and of the mouth (left_eye_x,
    left_eye_y, right_eye_x, right_eye_y, mouth_x, mouth_y; the left eye is the one further left in
    an upright face), in pixels of the upright photo from its upper left corner. Other columns are
    not read. Raises FacefillError with the line.
    """
    faces: dict[str, list[Found]] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            columns = _columns(path, rows.fieldnames or [])
            for row in rows:
                where = f"{path}, line {rows.line_num}"
                landmarks = _landmarks(where, row, columns)
                matrix = to_face(aligner, landmarks)
                if matrix is None:
                    raise FacefillError(f"{where}: both eyes and the mouth lie on one line")
                face = Found("faces.csv", 1.0, landmarks, matrix)
                faces.setdefault(row["photo"], []).append(face)
    except OSError as error:
        raise FacefillError(f"{path}: cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise FacefillError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    return faces


def _columns(path: Path, header: Sequence[str]) -> list[tuple[str, ...]]:
    """Which groups of columns the table has."""
    columns = [group for group in (BOX, POINTS) if set(group) <= set(header)]
    if "photo" not in header or not columns:
        raise FacefillError(
            f"{path}: its first line must name the columns photo and either {','.join(BOX)} "
            f"or {','.join(POINTS)}"
        )
    return columns


def _landmarks(where: str, row: dict, columns: list[tuple[str, ...]]) -> np.ndarray:
    """The mean shape of faces, laid into the row's box or onto its points: [68, 2]."""
    given = [group for group in columns if any(row[name] for name in group)]
    if not row["photo"] or len(given) != 1:
        raise FacefillError(f"{where}: give a photo, and either a box or both eyes and the mouth")
    try:
        values = np.array([float(row[name]) for name in given[0]])
    except (TypeError, ValueError):
        values = np.array(math.nan)
    if not np.isfinite(values).all():
        raise FacefillError(f"{where}: {', '.join(given[0])} must all be numbers, in pixels")
    mean = shape().mean
    if given[0] == BOX:
        left, top, right, bottom = values
        if not (left < right and top < bottom):
            raise FacefillError(f"{where}: left must be less than right, top less than bottom")
        return values[:2] + (mean - mean.min(0)) / np.ptp(mean, axis=0) * (values[2:] - values[:2])
    eyes_and_mouth = np.array([mean[part].mean(0) for part in (LEFT_EYE, RIGHT_EYE, MOUTH)])
    points = values.reshape(3, 2)
    if np.linalg.det(np.diff(points, axis=0)) <= 0:
        raise FacefillError(
            f"{where}: the face is mirrored or flat; left_eye is the one on the left in the picture"
        )
    to_photo = cv2.getAffineTransform(np.float32(eyes_and_mouth), np.float32(points))
    return cv2.transform(mean[None], to_photo)[0]
