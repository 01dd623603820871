"""What every kind of mask keeps to."""

import numpy as np
import pytest

from contract.examples import example, settings
from facefill.core.masking import make_masks, observe
from facefill.kinds import kinds, make
from facefill.masks import Hides

NAMES = ["Ann__1", "Bob__1", "Cid__1"]
SIZES = [64, 128]
KINDS = sorted(kinds("masks"))


@pytest.fixture(params=KINDS)
def kind(request, tmp_path, monkeypatch) -> str:
    """A kind; where it reads a file, its example finds one here."""
    monkeypatch.chdir(tmp_path)
    for size in SIZES:
        drawn = np.full((size, size), 255, np.uint8)
        drawn[: size // 3] = 0
        from PIL import Image

        Image.fromarray(drawn).save(f"drawn-{size}.png")
    return request.param


def entry(kind: str, size: int) -> dict:
    changes = {"path": f"drawn-{size}.png"} if "path" in kinds("masks")[kind].settings() else {}
    return settings("masks", kind, **changes)


@pytest.mark.parametrize("size", SIZES)
def test_it_hides_what_it_says(kind, size):
    masks = make_masks(entry(kind, size), NAMES, size, 1.0)
    assert masks.known.shape == (len(NAMES), size, size) and masks.known.dtype == bool
    mask = kinds("masks")[kind].of(entry(kind, size))
    for known in masks.known:
        extent = Hides.NOTHING if known.all() else Hides.PART if known.any() else Hides.ALL
        assert extent is mask.extent(size, 1.0)
        assert extent in mask.extents


def test_a_face_has_its_mask_whatever_the_other_faces(kind):
    together = make_masks(entry(kind, 64), NAMES, 64, 1.0).known
    for row, name in enumerate(NAMES):
        alone = make_masks(entry(kind, 64), [name], 64, 1.0).known[0]
        assert (alone == together[row]).all()


def test_masks_are_those_of_all_faces_unless_it_says_otherwise(kind):
    known = make_masks(entry(kind, 64), NAMES, 64, 1.0).known
    if not make("masks", entry(kind, 64)).per_face:
        assert (known == known[0]).all()


def test_nothing_of_a_hole_is_seen(kind):
    masks = make_masks(entry(kind, 64), NAMES, 64, 1.0)
    faces = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    observed = observe(faces, masks)
    assert (observed[masks.known] == faces[masks.known]).all()
    if not masks.block:
        assert not observed[~masks.known].any()


def test_it_is_alike_at_both_sizes(kind):
    small, large = (make_masks(entry(kind, size), NAMES, size, 1.0).known for size in SIZES)
    assert abs(small.mean() - large.mean()) < 0.06 or kind in ("grid",)


def test_its_preset_can_be_compared(kind):
    mask = example("masks", kind, **{k: v for k, v in entry(kind, 64).items() if k != "kind"})
    mask.check_used(f"masks.{kind}", {"align": {"size": 64, "zoom": 1.0}})
