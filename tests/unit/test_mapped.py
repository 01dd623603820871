"""facefill.core.mapped: what was read of a file does not count as the process's memory for ever."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from facefill.core.mapped import forget
from facefill.models.gaussian.fitting import mean_face
from facefill.models.glcic.training import _mean_colour
from facefill.near_duplicates import _means
from facefill.train.loop import TrainingLoop

SIZE = 64


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> np.ndarray:
    """60 MB of faces, uint8 [5000, 64, 64, 3], mapped from a file."""
    file = tmp_path_factory.mktemp("mapped") / "faces.npy"
    random = np.random.default_rng(0)
    np.save(file, random.integers(0, 256, (5000, SIZE, SIZE, 3), dtype=np.uint8))
    return np.load(file, mmap_mode="r")


def mapped_bytes(faces: np.ndarray) -> int:
    """How much of the file is in the process's memory."""
    maps = Path("/proc/self/smaps").read_text()
    entry = maps[maps.index(str(faces.filename)) :]
    return int(entry[entry.index("Rss:") :].split()[1]) * 1024


def test_what_was_read_is_given_back(faces):
    total = int(faces.sum(dtype=np.int64))
    assert mapped_bytes(faces) > faces.nbytes // 2
    forget(faces)
    assert mapped_bytes(faces) == 0
    assert int(faces.sum(dtype=np.int64)) == total


def test_an_array_in_memory_stays():
    array = np.arange(10)
    forget(array)
    assert array.sum() == 45


def test_a_part_of_a_mapped_array_stays(faces):
    part = faces[:10]
    before = part.copy()
    forget(part)
    assert (part == before).all()


def on_device(faces: np.ndarray, memory_format=torch.contiguous_format) -> torch.Tensor:
    compute = SimpleNamespace(device=torch.device("cpu"), memory_format=memory_format)
    return TrainingLoop.on_device(SimpleNamespace(compute=compute), faces)


READERS = {
    "training": on_device,
    "mean colour": _mean_colour,
    "mean face": lambda faces: mean_face(faces, True),
    "near duplicates": lambda faces: _means(faces, 32),
}


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_all_faces_gives_them_back(faces, reader):
    READERS[reader](faces)
    assert mapped_bytes(faces) < 20e6


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_faces_on_the_device_are_those_of_the_file(faces, memory_format):
    moved = on_device(faces, memory_format)
    expected = torch.from_numpy(np.array(faces)).permute(0, 3, 1, 2)
    assert moved.is_contiguous(memory_format=memory_format)
    assert torch.equal(moved, expected)
