"""Finding faces under holes."""

import os
import tarfile
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

import facefill.restore.finder
from facefill.align import Aligner
from facefill.core.errors import FacefillError
from facefill.core.images import decode_photo, png_bytes
from facefill.render import render_photo
from facefill.restore.finder import (
    LOWERED,
    Candidate,
    FaceFinder,
    _covers,
    _distinct,
    _shrunken,
    read_faces,
)
from facefill.restore.shape import complete, moved, shape, similarity

SIZE = 64


@pytest.fixture(scope="module")
def aligner():
    return Aligner(None, SIZE, "innerEyesAndBottomLip", 1.0, "largest", 20_000_000, "hog_then_cnn")


@pytest.fixture(scope="module")
def finder(aligner):
    """One that asks the CNN detector for large faces only: the other copy costs a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facefill.restore.finder, "CNN_SIDES", (256,))
        yield FaceFinder(aligner)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return cv2.resize(render_photo(0, 6, 0)[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def whole(aligner, photo):
    """The alignment of the undamaged photo."""
    return aligner.align(png_bytes(photo))


def stroke(shape, points, width) -> np.ndarray:
    """What a stroke leaves known."""
    hole = np.zeros(shape[:2], np.uint8)
    cv2.polylines(hole, [np.int32(np.rint(points))], False, 1, round(width))
    return hole == 0


def apart(matrix, true, targets) -> float:
    """Largest distance of the template's points, in face pixels of the undamaged alignment."""
    places = cv2.transform(targets[None], cv2.invertAffineTransform(matrix))
    return float(np.linalg.norm(cv2.transform(places, true)[0] - targets, axis=1).max())


# Landmarks that a hole hides


def test_hidden_landmarks_are_where_the_others_make_them_likely():
    rng = np.random.default_rng(0)
    mean, _, modes = shape()
    for _ in range(5):
        true = (mean.ravel() + 0.7 * rng.normal(size=len(modes)) @ modes).reshape(68, 2)
        true = moved(true, 90 * np.exp(0.3j), 100 + 120j)  # pixels of a photo, turned
        seen = np.ones(68, bool)
        seen[36:48] = False  # both eyes
        damaged = np.where(seen[:, None], true, rng.uniform(0, 250, (68, 2)))
        found = complete(damaged, seen)
        assert np.linalg.norm(found - true, axis=1).max() < 6
        at_mean = moved(mean, *similarity(mean[seen], true[seen]))
        distances = np.linalg.norm([found - true, at_mean - true], axis=2)[:, ~seen].mean(1)
        assert distances[0] < distances[1]


def test_a_similarity_is_recovered():
    points = shape().mean
    scale, shift = similarity(points, moved(points, 3 - 2j, 7 + 1j))
    assert abs(scale - (3 - 2j)) < 1e-9 and abs(shift - (7 + 1j)) < 1e-9


# Faces


def test_a_face_away_from_the_hole_is_the_predictors(finder, aligner, photo, whole):
    known = np.ones(photo.shape[:2], bool)
    known[-12:, -12:] = False
    (face, *_) = finder(np.where(known[..., None], photo, 255).astype(np.uint8), known)
    assert face.landmarks.dtype == np.float64 and face.landmarks.shape == (68, 2)
    assert face.matrix.shape == (2, 3) and 0 < face.certainty < 1
    np.testing.assert_array_equal(face.landmarks, face.landmarks.round())  # no mean of several
    assert apart(face.matrix, whole.matrix, aligner.targets) < 4


@pytest.mark.parametrize("part", [slice(36, 48), slice(48, 68)], ids=["eyes", "mouth"])
def test_a_face_under_a_stroke_is_found(finder, aligner, photo, whole, part):
    points = whole.landmarks[part]
    width = np.ptp(whole.landmarks[:17, 0])
    beyond = np.array([0.58 * np.ptp(points[:, 0]), 0])
    ends = [points.mean(0) - beyond, points.mean(0) + beyond]
    known = stroke(photo.shape, ends, 0.25 * width)
    pixels = np.where(known[..., None], photo, np.uint8(255))
    faces = finder(pixels, known)
    assert [face.certainty for face in faces] == sorted((f.certainty for f in faces), reverse=True)
    assert apart(faces[0].matrix, whole.matrix, aligner.targets) < 6
    again = finder.again(photo, known, faces[0])  # the best filling: the truth
    assert again.detector == faces[0].detector
    assert apart(again.matrix, whole.matrix, aligner.targets) < 6


@pytest.mark.slow
def test_every_face_of_a_photo_is_found(finder, photo):
    pair = np.concatenate([photo, photo[:, ::-1]], axis=1)
    known = np.ones(pair.shape[:2], bool)
    known[:, photo.shape[1] - 4 : photo.shape[1] + 4] = False
    middles = [face.landmarks[:, 0].mean() > photo.shape[1] for face in finder(pair, known)]
    assert sorted(middles[:2]) == [False, True]


def candidate(name, certainty, *box):
    return Candidate(name, certainty, dlib.rectangle(*box))


def test_boxes_that_overlap_are_one_face():
    kept = _distinct(
        [
            candidate("hog_filled", 0.5, 0, 0, 99, 99),
            candidate("cnn", 0.8, 10, 10, 109, 109),
            candidate("hog_low", 0.3, 200, 0, 260, 60),
            candidate("hog", 0.1, 30, 30, 60, 60),  # within another
        ]
    )
    assert [one.detector for one in kept] == ["cnn", "hog_low"]


def test_the_lowered_threshold_counts_under_a_hole_only():
    hole = np.zeros((100, 100), np.uint8)
    hole[:, :50] = 1
    assert _covers(hole, candidate("hog_low", 0.3, -20, 10, 60, 90))
    assert not _covers(hole, candidate("hog_low", 0.3, 55, 10, 95, 50))
    assert not _covers(hole, candidate("hog_low", 0.3, 120, 10, 160, 50))
    assert LOWERED < 0


def test_large_photos_are_searched_on_a_copy_that_the_hole_does_not_stain():
    pixels = np.full((2000, 3000, 3), 80, np.uint8)
    known = np.ones((2000, 3000), bool)
    known[501:1001, 701:1203] = False
    pixels[~known] = 255
    small, hole, scale = _shrunken(pixels, known)
    assert small.shape == (1000, 1500, 3) and hole.shape == (1000, 1500) and scale == (2, 2)
    assert (small[hole == 0] == 80).all()
    assert hole.sum() < 0.26 * (~known).sum()


# faces.csv

POINTS = "photo,left_eye_x,left_eye_y,right_eye_x,right_eye_y,mouth_x,mouth_y\n"
BOX = "photo,left,top,right,bottom\n"
BOTH = "photo,left,top,right,bottom,left_eye_x,left_eye_y,right_eye_x,right_eye_y,mouth_x,mouth_y\n"


def given(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "faces.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_eyes_and_mouth_lie_where_the_template_has_them(tmp_path, aligner):
    faces = read_faces(given(tmp_path, POINTS + "a/ü.jpg,100,90,140,100,110,150\n"), aligner)
    (face,) = faces["a/ü.jpg"]
    assert face.detector == "faces.csv"
    eyes_and_mouth = cv2.transform(np.float64([[[100, 90], [140, 100], [110, 150]]]), face.matrix)[
        0
    ]
    expected = np.array([[0.279, 0.172], [0.703, 0.164], [0.499, 0.663]]) * SIZE  # see template.py
    np.testing.assert_allclose(eyes_and_mouth, expected, atol=0.5)


def test_a_box_holds_the_landmarks(tmp_path, aligner):
    table = given(tmp_path, BOX + "a.jpg,10,20,110,130\nb.jpg,1,1,9,9\na.jpg,200.5,20,300,130\n")
    faces = read_faces(table, aligner)
    assert {name: len(found) for name, found in faces.items()} == {"a.jpg": 2, "b.jpg": 1}
    np.testing.assert_allclose(faces["a.jpg"][0].landmarks.min(0), (10, 20))
    np.testing.assert_allclose(faces["a.jpg"][0].landmarks.max(0), (110, 130))


def test_a_line_gives_a_box_or_points(tmp_path, aligner):
    rows = "a.jpg,10,20,110,130,,,,,,\na.jpg,,,,,100,90,140,100,110,150\n"
    assert len(read_faces(given(tmp_path, BOTH + rows), aligner)["a.jpg"]) == 2


WRONG = {
    "no photo column": ("file,left,top,right,bottom\n", "its first line must name"),
    "half a box": ("photo,left,top\n", "its first line must name"),
    "empty": ("", "its first line must name"),
    "no number": (BOX + "a.jpg,1,1,9,9\nb.jpg,1,x,9,9\n", "line 3: .* must all be numbers"),
    "a cell too few": (BOX + "a.jpg,1,1,9\n", "line 2: .* must all be numbers"),
    "infinite": (BOX + "a.jpg,1,1,9,inf\n", "line 2: .* must all be numbers"),
    "a box inside out": (BOX + "a.jpg,9,1,1,9\n", "line 2: left must be less"),
    "no photo": (BOX + ",1,1,9,9\n", "line 2: give a photo"),
    "nothing given": (BOX + "a.jpg,,,,\n", "line 2: give a photo"),
    "both": (BOTH + "a.jpg,1,1,9,9,1,1,5,1,3,5\n", "line 2: give a photo"),
    "mirrored": (POINTS + "a.jpg,140,90,100,90,120,150\n", "line 2: .* on the left"),
    "on one line": (POINTS + "a.jpg,100,100,120,100.5,140,101.5\n", "line 2: .* on one line"),
    "an open quote": (BOX + 'a.jpg,1,"1,9,9\n', "not a CSV file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_of_faces_is_one_line(tmp_path, aligner, case):
    text, words = WRONG[case]
    with pytest.raises(FacefillError, match=f"faces.csv.*{words}") as caught:
        read_faces(given(tmp_path, text), aligner)
    assert "\n" not in str(caught.value)


def test_a_missing_or_foreign_table_is_one_line(tmp_path, aligner):
    with pytest.raises(FacefillError, match="cannot be read"):
        read_faces(tmp_path / "faces.csv", aligner)
    path = given(tmp_path, "")
    path.write_bytes(b"photo,left\xff\n")
    with pytest.raises(FacefillError, match="not a CSV file in UTF-8"):
        read_faces(path, aligner)


# A photo of LFW


@pytest.mark.slow
def test_a_face_of_lfw_under_a_stroke(finder, aligner):
    archive = os.environ.get("FACEFILL_LFW")
    if not archive:
        pytest.skip("FACEFILL_LFW (path of lfw-5249-people.tgz) is not set")
    with tarfile.open(archive) as tar:
        entry = next(entry for entry in tar if entry.name.endswith("_0001.jpg"))
        data = tar.extractfile(entry).read()
    true, pixels = aligner.align(data), decode_photo(data, 20_000_000)
    mouth, side = true.landmarks[48:68].mean(0), np.array([18, 0])
    known = stroke(pixels.shape, [mouth - side, mouth + side], 24)
    faces = finder(np.where(known[..., None], pixels, np.uint8(255)), known)
    assert apart(faces[0].matrix, true.matrix, aligner.targets) < 5
