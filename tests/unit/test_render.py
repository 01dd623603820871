"""The renderer of synthetic photos: reproducible, plausible, and found by dlib."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from facefill.core.template import TEMPLATE
from facefill.render import photo_name, plan_photos, render_photo
from facefill.render.dataset import render_dataset

PHOTOS = [(person, shot) for person in range(5) for shot in range(3)]


@pytest.fixture(scope="module")
def photos():
    """15 photos of five people with their landmarks."""
    return {pair: render_photo(0, *pair) for pair in PHOTOS}


def test_a_photo_depends_on_its_numbers_alone(photos):
    """Neither the order nor the process nor the number of threads changes a pixel."""
    image, landmarks = photos[3, 1]
    for other in ((1, 3, 1), (0, 3, 0), (0, 2, 1)):
        render_photo(*other)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    again, landmarks_again = render_photo(0, 3, 1)
    cv2.setNumThreads(threads)
    assert np.array_equal(image, again)
    assert np.array_equal(landmarks, landmarks_again)
    code = (
        "import hashlib; from facefill.render import render_photo;"
        "print(hashlib.sha256(render_photo(0, 3, 1)[0].tobytes()).hexdigest())"
    )
    workflow = Path(__file__).parents[2] / "workflow"
    fresh = subprocess.run(
        [sys.executable, "-c", code], cwd=workflow, capture_output=True, text=True
    )
    assert fresh.stdout.strip() == hashlib.sha256(image.tobytes()).hexdigest()


def test_a_dataset_does_not_depend_on_the_processes_that_share_it(tmp_path):
    """Each process meets other people before a photo; all of them keep parts of a person."""
    for processes in (1, 3):
        folder = tmp_path / str(processes)
        assert render_dataset(folder / "raw", folder / "truth.csv", 7, 3, 0, processes) == 7
    one, three = tmp_path / "1", tmp_path / "3"
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 8
    for file in files:
        assert (one / file).read_bytes() == (three / file).read_bytes()
    alone = render_photo(0, 1, 0)[1].ravel()
    rows = (one / "truth.csv").read_text().splitlines()
    assert f"person-0001/person-0001-000.jpg,{','.join(f'{v:.3f}' for v in alone)}" in rows


def test_seed_person_and_shot_each_change_the_photo(photos):
    image = photos[0, 0][0]
    for other in (render_photo(1, 0, 0)[0], photos[1, 0][0], photos[0, 1][0]):
        assert image.shape != other.shape or np.abs(image.astype(int) - other).mean() > 5


def test_photos_have_the_promised_form(photos):
    for image, landmarks in photos.values():
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert 240 <= image.shape[1] <= 640 and 300 <= image.shape[0] <= 800
        assert image.std() > 10
        assert landmarks.shape == (68, 2) and landmarks.dtype == np.float64
        assert (landmarks >= 0).all() and (landmarks < image.shape[1::-1]).all()
        assert 70 < np.ptp(landmarks[:17, 0]) < 300


def test_landmarks_lie_as_in_a_face(photos):
    for _, landmarks in photos.values():
        x, y = landmarks.T
        assert x[36] < x[39] < x[42] < x[45]
        assert x[48] < x[54] and x[31] < x[35] and x[0] < x[16]
        assert (np.diff(x[17:22]) > 0).all() and (np.diff(x[22:27]) > 0).all()
        centres = [
            landmarks[part].mean(0) for part in (slice(17, 27), slice(36, 48), slice(31, 36))
        ]
        heights = [c[1] for c in centres] + [y[51], y[57], y[8]]
        assert heights == sorted(heights)
        assert y[61:64].mean() <= y[65:68].mean() + 0.5  # the lips do not cross


def _colour_of_skin(image, landmarks):
    """Ratios of the channels on the cheeks and the nose, which light changes least."""
    at = (landmarks[[2, 14, 30]] + landmarks[30]) / 2
    patches = [
        image[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5].reshape(-1, 3) for x, y in at
    ]
    return np.log(np.median(np.concatenate(patches), 0).astype(float) + 1)


def test_a_person_keeps_the_colour_of_their_skin(photos):
    colours = {pair: _colour_of_skin(*photo) for pair, photo in photos.items()}
    same, other = [], []
    for a in PHOTOS:
        for b in PHOTOS:
            if a < b:
                (same if a[0] == b[0] else other).append(np.abs(colours[a] - colours[b]).mean())
    assert np.mean(same) < 0.8 * np.mean(other)


def test_plan_gives_everybody_a_photo_and_some_people_many():
    plan = plan_photos(300, 60, 7)
    assert len(plan) == len(set(plan)) == 300
    counts = np.bincount([person for person, _ in plan])
    assert len(counts) == 60 and counts.min() >= 1
    assert counts.max() >= 3 * counts.min() and np.median(counts) > 1
    for person in range(60):
        assert [shot for p, shot in plan if p == person] == list(range(counts[person]))
    assert plan == plan_photos(300, 60, 7)
    assert plan != plan_photos(300, 60, 8)
    assert plan_photos(4, 4, 0) == [(0, 0), (1, 0), (2, 0), (3, 0)]


@pytest.mark.parametrize(("faces", "people"), [(3, 4), (5, 0)])
def test_an_impossible_plan_is_refused(faces, people):
    with pytest.raises(ValueError, match="people"):
        plan_photos(faces, people, 0)


def test_the_folder_is_the_identity():
    assert photo_name(12, 3) == "person-0012/person-0012-003.jpg"
    assert Path(photo_name(12, 3)).parent.name == Path(photo_name(12, 44)).parent.name


@pytest.mark.slow
def test_dlib_finds_the_faces_and_agrees_on_the_landmarks(photos):
    """At least 9 of 10 faces are found; landmarks differ by less than 2 px of a 64 px crop."""
    dlib = pytest.importorskip("dlib")
    models = importlib.util.find_spec("face_recognition_models")
    if models is None:
        pytest.skip("the package of dlib's models is not installed")
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(
        models.submodule_search_locations[0] + "/models/shape_predictor_68_face_landmarks.dat"
    )
    anchors = (39, 42, 57)
    target = 64 * np.float32([TEMPLATE[i] for i in anchors])
    errors = []
    for image, landmarks in photos.values():
        boxes = detector(image, 0) or detector(image, 1)
        if not boxes:
            continue
        shape = predictor(image, max(boxes, key=lambda box: box.area()))
        found = np.array([[part.x, part.y] for part in shape.parts()], float)
        affine = cv2.getAffineTransform(np.float32(found[list(anchors)]), target)
        errors.append(np.hypot(*((found - landmarks) @ affine[:, :2].T).T))
    assert len(errors) >= 0.9 * len(photos)
    assert np.median(errors) < 2
