"""The descriptors of a split's true faces."""

import numpy as np
import pandas as pd
import pytest

from facefill.core.descriptor import Describer
from facefill.core.errors import FacefillError
from facefill.describe import describe, read_descriptors
from facefill.split import choose_faces
from trap import Trap

NAMES = ["b", "a", "NA", "c"]


@pytest.fixture
def split(tmp_path):
    """Four smooth faces: the paths of their array, their table, and of what describes them."""
    coarse = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    np.save(tmp_path / "test.npy", coarse.repeat(4, 1).repeat(4, 2))
    table = pd.DataFrame({"face": NAMES, "identity": NAMES, "source": NAMES})
    table.to_csv(tmp_path / "test.csv", index=False)
    return tmp_path / "test.npy", tmp_path / "test.csv", tmp_path / "described.npy"


def run(split, count=2000):
    npy, csv, described = split
    return describe(npy, csv, 1.0, None, count, described, described.with_name("landmarks.npy"))


def test_every_face_has_its_own_descriptor(split):
    npy, csv, described = split
    assert run(split) == 4
    found, describer = read_descriptors(described, NAMES), Describer(32, 1.0)
    assert list(found) == NAMES
    np.testing.assert_array_equal(list(found.values()), describer(np.load(npy)))
    first = described.read_bytes()
    run(split)
    assert described.read_bytes() == first


def test_as_many_as_asked_for_those_that_are_completed(split):
    npy, csv, described = split
    run(split)
    every = read_descriptors(described, NAMES)
    assert run(split, 2) == 2
    found = read_descriptors(described, NAMES)
    assert sorted(found) == choose_faces(npy, csv, 2)[0]
    for name, descriptor in found.items():
        np.testing.assert_array_equal(descriptor, every[name])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b"none"), "not a readable array"),
        (lambda path: path.unlink(), "not a readable array"),
        (lambda path: np.save(path, np.zeros((3, 128))), r"\[3, 128\] instead of .*\[4, 128"),
        (lambda path: np.save(path, np.zeros((4, 128), np.float32)), "float32"),
    ],
)
def test_what_belongs_to_no_split_is_named(split, damage, words):
    npy, csv, described = split
    run(split, 1)
    damage(described)
    with pytest.raises(FacefillError, match=rf"described\.npy.*{words}"):
        read_descriptors(described, NAMES)


def test_descriptors_are_loaded_without_executing_anything(tmp_path):
    np.save(tmp_path / "d.npy", np.array([Trap(tmp_path / "sprung")]), allow_pickle=True)
    with pytest.raises(FacefillError, match=r"d\.npy: not a readable array"):
        read_descriptors(tmp_path / "d.npy", NAMES)
    assert not (tmp_path / "sprung").exists()
