"""dlib's network evaluated by PyTorch: equal to dlib's own, whatever the batch and the threads."""

import cv2
import dlib
import numpy as np
import pytest
import torch

from facefill.core.descriptor import BATCH, Describer, model_file
from facefill.core.descriptor_network import DescriptorNetwork
from facefill.core.errors import FacefillError
from facefill.render import render_photo

SIZE = 64
# What is damaged, and how: the length of the first tensor, the stride of the pooling.
TENSOR = b"con_4\1\2\2\x80\x12", b"con_4\1\2\2\x81\x12"
POOL = b"max_pool_2\1\3\1\3\1\2", b"max_pool_2\1\3\1\3\1\3"


@pytest.fixture(scope="module")
def faces():
    """Crops of rendered photos, smooth pictures and noise: uint8 [13, 64, 64, 3]."""
    random, made = np.random.default_rng(0), []
    for person in range(3):
        photo, landmarks = render_photo(0, person, 0)
        left, top = np.min(landmarks, 0).astype(int).clip(0)
        right, bottom = np.max(landmarks, 0).astype(int)
        made.append(cv2.resize(photo[top:bottom, left:right], (SIZE, SIZE)))
        y, x = random.integers(0, np.array(photo.shape[:2]) - SIZE)
        made.append(photo[y : y + SIZE, x : x + SIZE])
    coarse = random.integers(0, 256, (4, 8, 8, 3), np.uint8)
    made += [cv2.resize(face, (SIZE, SIZE)) for face in coarse]
    made.append(random.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
    made += [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (0, 255)]
    return np.stack(made)


@pytest.fixture(scope="module")
def describe():
    return Describer(SIZE, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("zoom", [0.7, 1.0])
def test_descriptors_are_dlibs(faces, zoom):
    describe = Describer(SIZE, zoom)
    network = dlib.face_recognition_model_v1(str(model_file()))
    expected = [network.compute_face_descriptor(face, describe._shape) for face in faces]
    found = describe(faces)
    assert found.dtype == np.float64 and found.shape == (len(faces), 128)
    assert np.linalg.norm(found - expected, axis=1).max() < 1e-4  # 2e-5 for white, 2e-6 for others
    assert np.linalg.norm(found[0] - found[2]) > 0.05  # another face is another descriptor


def test_a_descriptor_depends_on_its_face_alone(faces, describe):
    assert len(faces) > BATCH and len(faces) % BATCH  # a full part and one that is not
    together = describe(faces)
    alone = np.concatenate([describe(face[None]) for face in faces])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together[::-1], describe(faces[::-1]))
    np.testing.assert_array_equal(together[3:], describe(faces[3:]))


def test_threads_change_nothing(faces, describe):
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(describe(faces))
            assert torch.get_num_threads() == threads  # as it was
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_every_part_is_reported(faces, describe):
    counts = []
    describe(faces, counts.append)
    assert sum(counts) == len(faces) and len(counts) > 1


def test_no_faces_have_no_descriptors(describe):
    assert describe(np.empty((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 128)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "ends too early"),
        (lambda data: b"<html>not found</html>", "ends too early|its input"),
        (lambda data: data[:-1], "ends too early"),
        (lambda data: data[: len(data) // 2], "ends too early"),
        (lambda data: data + b"\1", "ends too early"),
        (lambda data: data.replace(b"relu_", b"tanh_", 1), "layer 'tanh_'"),
        (lambda data: data.replace(b"input_rgb", b"input_bgr", 1), "its input"),
        (lambda data: data.replace(*TENSOR, 1), "it holds a layer"),
        (lambda data: data.replace(*POOL, 1), "its layers are others"),
        (lambda data: data[:400] + b"\xff" * 4 + data[404:], "not all of its weights"),
    ],
)
def test_another_file_is_named(tmp_path, damage, words):
    file = tmp_path / "model.dat"
    file.write_bytes(damage(model_file().read_bytes()))
    with pytest.raises(FacefillError, match=rf"model\.dat is not dlib's .*({words}).*pip") as info:
        DescriptorNetwork(file)
    assert "\n" not in str(info.value)


def test_another_of_dlibs_models_is_named():
    for name in ("mmod_human_face_detector.dat", "shape_predictor_5_face_landmarks.dat"):
        with pytest.raises(FacefillError, match=rf"{name} is not dlib's face recognition network"):
            DescriptorNetwork(model_file().with_name(name))
