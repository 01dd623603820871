"""Whether the measures of realism say what they promise, on rendered faces."""

import cv2
import numpy as np
import pytest

from facefill.core.masking import make_masks
from facefill.measure import FaceSet
from facefill.methods.telea import Telea
from facefill.metrics import face_metrics, set_metrics
from facefill.metrics._interval import share
from facefill.metrics._texture import detect, features
from facefill.metrics._verification import THRESHOLD
from pairs import face_pair, rendered_face

SIZE, PEOPLE, SHOTS = 64, 24, 4
CENTER = {"kind": "center", "scale": 0.25}
RANDOM = {"kind": "random", "hidden": 0.8, "seed": 0}


@pytest.fixture(scope="module")
def faces():
    """Rendered faces of 24 people, four of each: uint8 [96, 64, 64, 3]."""
    numbers = [divmod(number, SHOTS) for number in range(PEOPLE * SHOTS)]
    return np.stack([rendered_face(person, shot, SIZE) for person, shot in numbers])


PERSON = np.repeat([f"person {number}" for number in range(PEOPLE)], SHOTS)


def compared(real, fake, people, mask=CENTER):
    known = make_masks(mask, [str(number) for number in range(len(real))], SIZE, 1.0).known
    nothing = np.zeros((len(real), 2))
    return FaceSet(
        real=real,
        fake=np.where(known[..., None], real, fake),
        real_descriptors=nothing,
        fake_descriptors=nothing,
        holes=~known,
        people=people,
    )


def detectability(*sets):
    return set_metrics("completions")["detectability"].measure(compared(*sets))


def blurred(faces):
    return np.stack([cv2.GaussianBlur(face, (0, 0), 1) for face in faces])


@pytest.mark.slow
def test_originals_cannot_be_told_from_originals(faces):
    value, count, low, high = detectability(faces, faces, PERSON)
    assert (value, count) == (0.5, 96) and low < 0.5 < high
    # Holes of other photos of other people, in both places in turn.
    holes = np.ones(faces.shape[:3], bool)
    found = features(faces, holes)
    one, other = found[: 12 * SHOTS], found[12 * SHOTS :]
    people = [f"pair {number // SHOTS}" for number in range(len(one))]
    swap = np.arange(len(one)) // SHOTS % 2 == 0
    real, fake = (np.where(swap[:, None], a, b) for a, b in ((one, other), (other, one)))
    _, _, low, high = share(detect(real, fake, people), people)
    assert low < 0.5 < high


@pytest.mark.slow
@pytest.mark.parametrize("mask", [CENTER, RANDOM])
def test_smears_and_the_mean_are_told(faces, mask):
    known = make_masks(mask, [str(number) for number in range(len(faces))], SIZE, 1.0).known
    telea = Telea(radius=3).fill(faces * known[..., None], known)
    mean = np.broadcast_to(faces.mean(0).round().astype(np.uint8), faces.shape)
    for fake in (telea, mean):
        value, count, low, high = detectability(faces, fake, PERSON, mask)
        assert value > 0.95 and count == 96 and low > 0.8 and high == 1


@pytest.mark.slow
def test_blur_is_seen_by_sharpness_and_detectability(faces):
    assert detectability(faces, blurred(faces), PERSON).value > 0.95
    metrics = face_metrics()
    known = make_masks(CENTER, ["any"], SIZE, 1.0).known[0]

    def mean(name, fake):
        pairs = [face_pair(one, two, known) for one, two in zip(faces, fake, strict=True)]
        return np.mean([metrics[name].measure(pair) for pair in pairs])

    bands = ["sharpness", "sharpness_medium", "sharpness_coarse"]
    of_blurred = [mean(name, blurred(faces)) for name in bands]
    assert of_blurred[0] < 0.5 and of_blurred == sorted(of_blurred)
    assert [mean(name, faces) for name in bands] == [1, 1, 1]
    noise = np.random.default_rng(0).normal(0, 8, faces.shape)
    assert mean("sharpness", np.clip(faces + noise, 0, 255).astype(np.uint8)) > 1.1
    # PSNR thinks a blurred original far better than another sharp face.
    assert mean("hole_psnr", blurred(faces)) > mean("hole_psnr", np.roll(faces, SHOTS, 0)) + 5


@pytest.mark.slow
def test_kid_on_texture_sees_blur(faces):
    kid = set_metrics("completions")["kid_texture"]
    value, _, low, high = kid.measure(compared(faces, blurred(faces), PERSON))
    assert 0 < low <= value <= high
    assert kid.measure(compared(faces, faces, PERSON)).value == pytest.approx(0, abs=1e-9)


def test_few_faces_are_little_evidence():
    right, people = np.ones(6), list("abcdef")
    assert share(right, people).value == 1 and share(right, people).low < 0.65
    assert share(np.ones(60), range(60)).low > 0.9
    assert np.isnan(share(right, ["a"] * 6).low) and np.isnan(share(np.empty(0), []).value)


def test_a_person_is_never_in_both_parts():
    """Features that say who it is are no help where the person is held out."""
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 5).astype(str)
    code = random.normal(size=(20, 40)).repeat(5, 0)
    sign = random.choice([-1, 1], 20).repeat(5)[:, None]
    real, fake = code * sign, -code * sign  # told by heart only
    assert detect(real, fake, people).mean() < 0.8
    assert detect(real, fake, np.arange(100).astype(str)).mean() > 0.95


def test_landmarks_in_the_hole_count():
    face, known = np.zeros((SIZE, SIZE, 3), np.uint8), np.ones((SIZE, SIZE), bool)
    known[20:40, 20:40] = False
    points = np.full((68, 2), 5.0)
    points[0], points[1], points[2] = (30, 30), (39, 20), (80, -3)  # two of them in the hole
    measure = face_metrics()["landmark_distance"].measure
    moved = points + 100
    moved[0], moved[1] = (33, 34), (39, 20)
    landmarks = {"original_landmarks": points, "completed_landmarks": moved}
    assert measure(face_pair(face, face, known, **landmarks)) == pytest.approx(2.5)
    assert np.isnan(measure(face_pair(face, face, np.ones_like(known), **landmarks)))


def test_verification_by_hand():
    gallery = np.array([[0.0, 0], [1, 0], [5, 0], [5.2, 0], [9, 0]])
    owner = np.array(["a", "a", "b", "b", "c"])
    fakes = np.array([[4.5, 0], [0.1, 0], [5.0, 0], [5.2, 0], [8.9, 0]])  # the first went astray
    nothing = np.zeros((5, 4, 4, 3), np.uint8)
    sets = FaceSet(
        real=nothing,
        fake=nothing,
        real_descriptors=gallery,
        fake_descriptors=fakes,
        people=owner,
        gallery=gallery,
        gallery_people=owner,
        gallery_rows=np.arange(5),
        masked_descriptors=np.full((5, 2), np.nan),
    )
    metrics = set_metrics("completions")
    assert metrics["verification"].measure(sets)[:2] == (0.75, 4)  # of c there is one photo
    assert metrics["verification_original"].measure(sets)[:2] == (1, 4)
    value, count, *_ = metrics["verification_masked"].measure(sets)
    assert np.isnan(value) and count == 0
    # Only [4.5, 0] is nearer than 0.6 to other people's photos: to one of three.
    assert THRESHOLD == 0.6
    assert metrics["false_matches"].measure(sets)[:2] == (pytest.approx(1 / 3 / 5), 5)
