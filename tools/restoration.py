"""Measure restoration on photographs that are damaged on purpose, so that the truth is known.

    PYTHONPATH=workflow python tools/restoration.py --detect results/lfw [--split test --photos 60]

White strokes are painted over the eyes, the mouth or half of the face, a third of the photos each,
at the photo's resolution, by a brush as wide as people take for it, from a seed. `--detect` prints
how many of the faces each detector finds and how far the alignment lies from that of the undamaged
photo: the largest distance of the template's three points, mapped into the photo by both matrices.
"""

import argparse
import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import cv2
import dlib
import numpy as np

from facefill.align import LANDMARK_COLUMNS, MATRIX_COLUMNS, Aligner
from facefill.core.files import read_table
from facefill.core.images import decode_photo
from facefill.core.progress import progress
from facefill.restore.finder import Candidate, FaceFinder, overlap
from facefill.restore.holes import NoHole, find_hole

PARTS = ("eyes", "mouth", "half")
MAX_PIXELS = 150_000_000
NEAR = 4.0  # pixels
DETECTORS = ("hog", "hog_filled", "cnn", "hog_low")
ALIGN = {
    "predictor": None,
    "size": 64,
    "landmarks": "innerEyesAndBottomLip",
    "zoom": 1.0,
    "several_faces": "largest",
    "max_pixels": MAX_PIXELS,
    "detector": "hog_then_cnn",
}


class Damaged(NamedTuple):
    """A photo with strokes: what was painted where, and where its face was before."""

    source: str
    part: str
    true: np.ndarray  # uint8 [height, width, 3]
    pixels: np.ndarray  # the same with white strokes
    known: np.ndarray  # bool [height, width]
    landmarks: np.ndarray  # float64 [68, 2]
    matrix: np.ndarray  # float64 [2, 3], photo to face


def damaged_photos(build: Path, split: str, count: int, seed: int) -> list[Damaged]:
    """Photos of `count` people of the split, one each, a third of them for every part."""
    rows = read_table(build / f"splits/{split}.csv", ["face", "identity", "source"], ["face"])
    geometry = read_table(build / "geometry.csv", ["face", *MATRIX_COLUMNS], ["face"])
    geometry = geometry.set_index("face")
    people = rows.groupby("identity", sort=True)["face"].first()  # every person counts once
    chosen = random.Random(seed).sample(list(people), count)
    sources = rows.set_index("face")["source"]
    photos = []
    for number, face in enumerate(chosen):
        true = decode_photo((build / "raw" / sources[face]).read_bytes(), MAX_PIXELS)
        landmarks = geometry.loc[face, LANDMARK_COLUMNS].to_numpy(np.float64).reshape(68, 2)
        matrix = geometry.loc[face, MATRIX_COLUMNS].to_numpy(np.float64).reshape(2, 3)
        part = PARTS[number % len(PARTS)]
        known = strokes(part, landmarks, true.shape[:2], np.random.default_rng([seed, number]))
        pixels = np.where(known[..., None], true, np.uint8(255))
        photos.append(Damaged(sources[face], part, true, pixels, known, landmarks, matrix))
    return photos


def strokes(part: str, landmarks: np.ndarray, shape: tuple, rng: np.random.Generator) -> np.ndarray:
    """What strokes by hand over a part of the face leave known, bool [height, width].

    Lengths are shares of the face's width between the ears. The brush has a fifth to a third.
    """
    right = landmarks[16] - landmarks[0]
    width = float(np.hypot(*right))
    right = right / width
    down = np.array([-right[1], right[0]])
    brush = width * rng.uniform(0.20, 0.33)
    eyes, mouth = landmarks[36:48].mean(0), landmarks[48:].mean(0)
    middle = (eyes + mouth) / 2
    if part == "eyes":
        lines = [[eyes - 0.36 * width * right, eyes + 0.36 * width * right]]
    elif part == "mouth":
        lines = [[mouth - 0.2 * width * right, mouth + 0.2 * width * right]]
    else:  # side by side from the middle of the face outwards, from the brows to the chin
        side = right * rng.choice([-1, 1])
        up, low = middle - 0.42 * width * down, middle + 0.45 * width * down
        first = brush * 0.4 / width
        places = np.arange(first, 0.5, 0.7 * brush / width)
        lines = [[up + place * width * side, low + place * width * side] for place in places]
    hole = np.zeros(shape, np.uint8)
    for start, end in lines:
        steps = np.linspace(0, 1, 6)[:, None]
        points = start + steps * (end - start) + rng.normal(0, 0.02 * width, (6, 2))
        points = np.round(points * 16).astype(np.int32)  # in sixteenths of a pixel
        cv2.polylines(hole, [points], False, 1, max(3, round(brush)), cv2.LINE_8, 4)
    return hole == 0


def distances(matrix: np.ndarray, true: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Largest and mean distance of the template's points in the photo, mapped by both matrices."""
    places = [
        cv2.transform(targets[None], cv2.invertAffineTransform(one))[0] for one in (matrix, true)
    ]
    apart = np.hypot(*(places[0] - places[1]).T)
    return float(apart.max()), float(apart.mean())


def hole_of(pixels: np.ndarray) -> np.ndarray | None:
    """What find_hole leaves known of a photo without a mask, None where it finds no hole."""
    original = SimpleNamespace(pixels=pixels, opacity=None, stored=pixels.shape[:2], turn=None)
    try:
        return find_hole(original, None, "auto")[0]
    except NoHole:
        return None


class Row(NamedTuple):
    """What became of one damaged photo."""

    part: str
    holes: bool  # whether find_hole saw all that was painted
    found: dict[str, bool]  # by which detector
    detector: str  # whose box the cascade took, "" = none
    certainty: float
    largest: float  # distance of the template's points, in photo pixels
    mean: float


class Recording(FaceFinder):
    """Keeps the candidates of the last photo."""

    def candidates(self, *images: np.ndarray) -> list[Candidate]:
        self.seen = super().candidates(*images)
        return self.seen


def detect(finder: Recording, photo: Damaged) -> Row:
    """Find the face of one damaged photo, by each detector and by the cascade."""
    known = hole_of(photo.pixels)
    holes = known is not None and not (known & ~photo.known).any()
    known = known if holes else photo.known
    faces = finder(photo.pixels, known)
    found = {  # LFW's photos are too small to be searched on copies
        name: any(shows(one.box, photo.landmarks) for one in finder.seen if one.detector == name)
        for name in DETECTORS
    }
    for face in faces:
        if shows(bounds(face.landmarks), photo.landmarks):
            apart = distances(face.matrix, photo.matrix, finder.aligner.targets)
            return Row(photo.part, holes, found, face.detector, face.certainty, *apart)
    return Row(photo.part, holes, found, "", 0, math.inf, math.inf)


def bounds(landmarks: np.ndarray) -> dlib.rectangle:
    return dlib.rectangle(*map(round, [*landmarks.min(0), *landmarks.max(0)]))


def shows(box: dlib.rectangle, landmarks: np.ndarray) -> bool:
    """Whether the box and the landmarks are of one face: half of the smaller box is common."""
    return overlap(box, bounds(landmarks)) > 0.5


def print_detection(rows: list[Row], scale: float) -> None:
    """Print the tables; `scale` is how many photo pixels a face pixel has."""
    parts = {part: [row for row in rows if row.part == part] for part in PARTS} | {"all": rows}
    print("| painted over | photos | hole found", *DETECTORS, "cascade |", sep=" | ")
    print("|---" * (len(DETECTORS) + 4) + "|")
    for part, chosen in parts.items():
        counts = [len(chosen), sum(row.holes for row in chosen)]
        counts += [sum(row.found[name] for row in chosen) for name in DETECTORS]
        counts += [sum(row.detector != "" for row in chosen)]
        print(f"| {part} | {' | '.join(map(str, counts))} |")
    print(
        f"\n| painted over | photos | within {NEAR:g} photo pixels | within {NEAR:g} face pixels "
        f"({NEAR * scale:.1f} photo pixels) | median | mean of the three within {NEAR:g} |"
        "\n|---|---|---|---|---|---|"
    )
    for part, chosen in parts.items():
        largest = np.array([row.largest for row in chosen])
        mean = np.array([row.mean for row in chosen])
        print(
            f"| {part} | {len(chosen)} | {(largest <= NEAR).sum()} | "
            f"{(largest <= NEAR * scale).sum()} | {np.median(largest):.1f} | "
            f"{(mean <= NEAR).sum()} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path, help="results/{dataset} of a finished build")
    parser.add_argument("--detect", action="store_true", help="measure the finding of faces")
    parser.add_argument("--split", default="test", choices=["test", "val"])
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    photos = damaged_photos(arguments.build, arguments.split, arguments.photos, arguments.seed)
    if arguments.detect:
        finder = Recording(Aligner(**ALIGN))
        rows = []
        with progress(len(photos), "detect", "photos") as bar:
            for photo in photos:
                rows.append(detect(finder, photo))
                bar.update()
        scales = [1 / math.sqrt(abs(np.linalg.det(photo.matrix[:, :2]))) for photo in photos]
        print_detection(rows, float(np.median(scales)))
