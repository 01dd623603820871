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
    LANDMARKS,
    LARGE,
    MAX_STRETCH,
    MIN_SIDE,
    Aligner,
    _enlarge,
    _like_hog,
    _load_cnn,
)
from facefill.core.errors import FacefillError
from facefill.core.images import MAX_SIDE
from facefill.restore.shape import complete, moved, shape, similarity

LOWERED = -0.5  # the HOG detector's threshold for faces that a hole leaves little of
RADIUS = 3  # of Telea's algorithm, in pixels
OVERLAP = 0.3  # share of the smaller of two boxes from which on they show one face
COVERED = 0.1  # share of a box that the hole hides where the lowered threshold may count
# A certainty is the share of faces with such a score whose alignment was off by 6 of LFW's 250
# pixels or less: logistic regressions, intercept and slope, on 75 validation photos under strokes.
HOG = (0.32, 1.04)
CNN = (-1.65, 3.05)
# The HOG detector's boxes lie so in the frame of shape.csv: medians of 75 validation photos.
BOX_MIDDLE, BOX_SIDE = (0.027, -0.017), 1.032
# How boxes are moved, as shares of that frame, and enlarged: the predictor's answers differ.
CHANGES = (
    (0, 0, 1), (-0.04, 0, 1), (0.04, 0, 1), (0, -0.04, 1), (0, 0.04, 1), (0, 0, 0.94), (0, 0, 1.06),
)  # fmt: skip
FEWEST = 8  # landmarks that must be seen, of 68; fewer say too little about the others


BY_HAND = "faces.csv"  # the detector of a face that the user has placed


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


class Candidate(NamedTuple):
    detector: str
    certainty: float
    box: dlib.rectangle


class FaceFinder:
    """Finds faces of which a hole hides a part.

    `aligner` lends its models and the template; dlib's CNN detector is loaded where it has none.
    """

    def __init__(self, aligner: Aligner):
        self.aligner = aligner
        self.cnn = aligner.cnn or _load_cnn()

    def __call__(self, pixels: np.ndarray, known: np.ndarray) -> list[Found]:
        """All faces, the most certain first.

        `pixels` are RGB uint8 [height, width, 3], `known` bool [height, width].
        """
        small, hole, scale = _shrunken(pixels, known)
        filled = cv2.inpaint(small, hole, RADIUS, cv2.INPAINT_TELEA)
        photo = np.where(known[..., None], pixels, cv2.resize(filled, known.shape[::-1]))
        found = []
        candidates = self.candidates(small, filled, hole)
        for detector, certainty, box in _distinct(candidates):
            landmarks = self._predict(photo, _enlarge(box, *scale))
            face = self._face(detector, certainty, photo, known, landmarks)
            found += [face] if face else []
        return found

    def again(self, photo: np.ndarray, known: np.ndarray, face: Found) -> Found:
        """The face, placed anew in a photo whose hole is filled better than by Telea.

        `photo` is RGB uint8 [height, width, 3], `known` tells where it was not filled. Where the
        new landmarks lie on a line, the face stays as it was.
        """
        return self._face(face.detector, face.certainty, photo, known, face.landmarks) or face

    def candidates(
        self, small: np.ndarray, filled: np.ndarray, hole: np.ndarray
    ) -> list[Candidate]:
        """Faces of all detectors; where none finds any, in a copy of twice the size."""
        height, width = small.shape[:2]
        candidates = []
        for upsample in (0, 1):
            for name, image, threshold in (
                ("hog", small, 0),
                ("hog_filled", filled, 0),
                ("hog_low", filled, LOWERED),
            ):
                boxes, scores, _ = self.aligner.detector.run(image, upsample, threshold)
                candidates += [
                    Candidate(name, _certainty(HOG, score), box)
                    for box, score in zip(boxes, scores, strict=True)
                ]
            if upsample == 0:
                candidates += self._search_cnn(filled)
            candidates = [
                one for one in candidates if one.detector != "hog_low" or _covers(hole, one)
            ]
            if candidates or 2 * max(height, width) > MAX_SIDE:
                break
        return candidates

    def _search_cnn(self, filled: np.ndarray) -> list[Candidate]:
        height, width = filled.shape[:2]
        candidates = []
        for side in CNN_SIDES:
            factor = side / max(height, width)
            size = round(width * factor), round(height * factor)
            if min(size) < MIN_SIDE:  # the network fails at strips
                continue
            way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            candidates += [
                Candidate(
                    "cnn",
                    _certainty(CNN, face.confidence),
                    _like_hog(_enlarge(face.rect, width / size[0], height / size[1])),
                )
                for face in self.cnn(cv2.resize(filled, size, interpolation=way), 0)
            ]
        return candidates

    def _predict(self, photo: np.ndarray, box: dlib.rectangle) -> np.ndarray:
        points = self.aligner.predictor(photo, box).parts()
        return np.array([(point.x, point.y) for point in points], np.float64)

    def _face(self, detector, certainty, photo, known, landmarks) -> Found | None:
        """The face near `landmarks`; None where its landmarks lie on a line.

        Without a hidden landmark it is as the aligner places it. Else a hidden landmark is where
        the others make it likely, as the predictor is led astray by what fills the hole. It is
        asked again before, from boxes around the likely shape, moved and resized a little.
        """
        seen = _seen(landmarks, known)
        if not seen.all():
            likely = complete(landmarks, seen) if seen.sum() >= FEWEST else landmarks
            boxes = [_box(likely, *change) for change in CHANGES]
            landmarks = np.median([self._predict(photo, box) for box in boxes], axis=0)
        seen = _seen(landmarks, known)
        if FEWEST <= seen.sum() < LANDMARKS:
            landmarks = np.where(seen[:, None], landmarks, complete(landmarks, seen))
        matrix = to_face(self.aligner, landmarks)
        return None if matrix is None else Found(detector, certainty, landmarks, matrix)


def to_face(aligner: Aligner, landmarks: np.ndarray) -> np.ndarray | None:
    """The matrix of landmarks [68, 2] as the aligner makes it; None where they lie on a line."""
    matrix = cv2.getAffineTransform(landmarks[aligner.anchors].astype(np.float32), aligner.targets)
    largest, smallest = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return matrix if smallest * MAX_STRETCH > largest else None


def _shrunken(
    pixels: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """A copy of at most LARGE pixels, its hole as uint8, and how much larger the photo is."""
    height, width = known.shape
    factor = min(1.0, math.sqrt(LARGE / (height * width)))
    size = round(width * factor), round(height * factor)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    # A pixel of the copy is known where all pixels are that it averages.
    share = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return small, (share < 1 - 1e-4).astype(np.uint8), (width / size[0], height / size[1])


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Of boxes that overlap the most certain one, the most certain first."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.certainty):
        if all(overlap(candidate.box, other.box) < OVERLAP for other in kept):
            kept.append(candidate)
    return kept


def overlap(one: dlib.rectangle, other: dlib.rectangle) -> float:
    """Share of the smaller box that lies in the other."""
    return one.intersect(other).area() / min(one.area(), other.area())


def _covers(hole: np.ndarray, candidate: Candidate) -> bool:
    box = candidate.box
    inside = hole[max(0, box.top()) : box.bottom() + 1, max(0, box.left()) : box.right() + 1]
    return inside.size > 0 and inside.mean() >= COVERED


def _certainty(line: tuple[float, float], score: float) -> float:
    return 1 / (1 + math.exp(-line[0] - line[1] * score))


def _seen(landmarks: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which landmarks [68, 2] lie where the photo is known; beyond its edges as at the edge."""
    height, width = known.shape
    x, y = np.rint(landmarks).astype(int).T
    return known[y.clip(0, height - 1), x.clip(0, width - 1)]


def _box(landmarks: np.ndarray, x: float, y: float, size: float) -> dlib.rectangle:
    """The HOG detector's box of a face, moved by shares of its side and enlarged."""
    scale, shift = similarity(shape().mean, landmarks)
    middle = moved(np.add(BOX_MIDDLE, [x, y])[None], scale, shift)[0]
    half = BOX_SIDE * abs(scale) * size / 2
    return dlib.rectangle(*map(round, [*(middle - half), *(middle + half)]))


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
                face = Found(BY_HAND, 1.0, landmarks, matrix)
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
