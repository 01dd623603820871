"""Which photographs a set has, and which masks belong to them."""

import pytest
from PIL import Image

from facefill.core.errors import FacefillError
from facefill.core.photos import cached_digests, digest
from facefill.restore.photographs import find_photographs


@pytest.fixture
def found(tmp_path):
    """Write pictures under some names; return the photographs of that folder."""

    def write(*names):
        for number, name in enumerate(names):
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
        content = digest(cached_digests(tmp_path / "set", tmp_path / "cache").items())
        return {each.photo.source: each for each in find_photographs(tmp_path / "set", content)}

    return write


@pytest.mark.parametrize(
    "mask",
    [
        "a/one.mask.png",
        "a/one.jpg.mask.png",
        "a/masks/one.mask.png",
        "a/masks/one.png",
        "masks/a/one.mask.png",
        "masks/a/one.jpg.png",
        "a/ONE.MASK.PNG",
    ],
)
def test_a_mask_lies_beside_its_photograph_or_in_a_folder_masks(found, mask):
    photographs = found("a/one.jpg", "a/two.jpg", mask)
    assert list(photographs) == ["a/one.jpg", "a/two.jpg"]
    assert photographs["a/one.jpg"].mask.source == mask
    assert photographs["a/two.jpg"].mask is None


def test_the_mask_beside_the_photograph_counts_first(found):
    photographs = found("one.jpg", "one.mask.png", "masks/one.png")
    assert photographs["one.jpg"].mask.source == "one.mask.png"


def test_a_mask_of_no_photograph_is_told(found, caplog):
    found("one.jpg", "tow.mask.png")
    assert "tow.mask.png: a mask of no photograph" in caplog.text


def test_names_without_endings_unless_two_would_be_one(found):
    names = {s: each.name for s, each in found("a/one.jpg", "b/two.jpg", "b/two.png").items()}
    assert names == {"a/one.jpg": "a/one", "b/two.jpg": "b/two.jpg", "b/two.png": "b/two.png"}


def test_no_two_photographs_have_one_name(found):
    photographs = found("c.png", "c.webp", "c.png.png")
    names = {each.name.casefold() for each in photographs.values()}
    assert len(names) == 3


def test_names_that_differ_in_case_have_their_own_masks(found):
    photographs = found("A.png", "A.mask.png", "a.png", "a.mask.png")
    assert {s: each.mask.source for s, each in photographs.items()} == {
        "A.png": "A.mask.png",
        "a.png": "a.mask.png",
    }


def test_a_long_name_leaves_room_for_an_ending(found):
    names = {
        each.name for each in found("a/" + "é" * 120 + ".jpg", "a/" + "é" * 120 + "x.jpg").values()
    }
    assert len(names) == 2 and all(len(name.encode()) <= 202 for name in names)


def test_a_folder_without_photographs_stops_the_run(found):
    with pytest.raises(FacefillError, match="holds no photograph"):
        found("masks/one.png")


def test_a_photograph_that_changes_meanwhile_stops_the_run(found, tmp_path):
    found("one.jpg")
    with pytest.raises(FacefillError, match="run again"):
        find_photographs(tmp_path / "set", "another digest")
