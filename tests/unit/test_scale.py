"""tools/bench/scale.py: photos that are all different, and tables that say how seconds grow."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scale():
    spec = importlib.util.spec_from_file_location("scale", ROOT / "tools/bench/scale.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_two_photos_are_equal(scale, tmp_path):
    """Neither their bytes, by which flatten knows duplicates, nor their pixels."""
    size = (12, scale.SIDE, scale.SIDE, 3)
    faces = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    scale.make_photos(tmp_path / "many", 60, faces)
    photos = sorted((tmp_path / "many").glob("*/*.jpg"))
    assert len(photos) == 60 and len({photo.parent for photo in photos}) == 3
    assert len({photo.read_bytes() for photo in photos}) == 60
    assert len({cv2.imread(str(photo)).tobytes() for photo in photos}) == 60
    scale.make_photos(tmp_path / "few", 25, faces)
    few = sorted((tmp_path / "few").glob("*/*.jpg"))
    assert [p.read_bytes() for p in few] == [p.read_bytes() for p in photos[:25]]


def test_photos_that_are_made_are_not_made_again(scale, tmp_path):
    faces = np.zeros((3, scale.SIDE, scale.SIDE, 3), np.uint8)
    scale.make_photos(tmp_path / "photos", 2, faces)
    (tmp_path / "photos/person-00000/00.jpg").unlink()
    scale.make_photos(tmp_path / "photos", 2, faces)
    assert len(list((tmp_path / "photos").glob("*/*.jpg"))) == 1


def test_growth_is_the_slope_of_logarithms(scale):
    assert scale.exponent([1000, 4000, 16000], [1, 8, 64]) == pytest.approx(1.5)
    assert scale.exponent([1000, 4000], [2, 8]) == pytest.approx(1)


def test_the_table_tells_growth_by_the_jobs_alone(scale):
    """The start of Snakemake would hide it."""
    flat = {"files": 5, "bytes": 3e6, "disk": 4e6, "seconds": 0.5}
    measured = {
        size: {"split": {"seconds": 10, "jobs": jobs, "peak": 2e9}, scale.FLAT: flat}
        for size, jobs in ((1000, 1), (4000, 8), (16000, 32))
    }
    lines = scale.tables(measured, "1a2b3c4", "rendered").splitlines()
    assert (
        lines[0] == "| stage | 1,000 photos | 4,000 photos | 16,000 photos | growth | from 4,000 |"
    )
    cells = lines[2].split(" | ")
    assert cells[1:4] == [
        "10.0 (1.0) s, 2.00 GB",
        "10.0 (8.0) s, 2.00 GB",
        "10.0 (32.0) s, 2.00 GB",
    ]
    assert cells[4:] == ["1.25", "1.00 |"]
    assert "| 4,000 photos | 5 | 3 MB | 4 MB | 0.50 s |" in lines
    assert "commit 1a2b3c4" in lines[-1] and "rendered portraits" in lines[-1]
