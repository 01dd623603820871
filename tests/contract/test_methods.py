"""What every kind of method keeps to, with its `example` settings and models of tests/untrained."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract.examples import example, settings
from facefill.complete import GRID_FACES, Completed, Task, lay_in, write
from facefill.core.images import decode_photo
from facefill.core.masking import Masks, make_masks, observe
from facefill.kinds import kinds
from facefill.methods import EXTRA
from facefill.methods._walk import places
from holes import EVERY_MASK, noise_in_the_hole, smooth_faces
from project import ROOT
from untrained import SAVE

SIZE = 32
NAMES = ["Ann__1", "Bob__1", "Cid__1", "Dan__1"]
FACES = smooth_faces(len(NAMES), SIZE)
METHODS = kinds("methods")
TRAIN = 255 - smooth_faces(128, SIZE)  # enough for analogs
every_kind = pytest.mark.parametrize("kind", METHODS)
every_mask = pytest.mark.parametrize("mask", EVERY_MASK)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """A model of each kind, by what it provides."""
    return {provides: save(tmp_path_factory.mktemp(provides)) for provides, save in SAVE.items()}


@pytest.fixture
def task(models):
    """What a method is given: task(kind, faces, masks, rows), `rows` of NAMES alone."""

    def task(kind, faces, masks, rows=slice(None)) -> Task:
        method = example("methods", kind)
        used = {
            name: models[provides]
            for name, provides in method.references("models").items()
            if getattr(method, name) is not None
        }
        masks = replace(masks, known=masks.known[rows])
        return Task(
            names=NAMES[rows],
            observed=observe(faces[rows], masks),
            masks=masks,
            models=used,
            train=TRAIN if method.needs_train else None,
        )

    return task


def completed(kind, task: Task) -> np.ndarray:
    """The completions as they are written: with known pixels as observed."""
    return lay_in(task.observed, task.masks.known, example("methods", kind).complete(task).faces)


def masks_of(mask: str) -> Masks:
    return make_masks(EVERY_MASK[mask], NAMES, SIZE, 1.0)


@every_kind
def test_it_returns_what_it_declares(kind, task):
    result = example("methods", kind).complete(task(kind, FACES, masks_of("center")))
    assert isinstance(result, Completed)
    assert result.faces.dtype == np.uint8 and result.faces.shape == FACES.shape
    left = {name for name in EXTRA if len(_listed(getattr(result, name)))}
    assert left == set(METHODS[kind].extra)
    if "samples" in left:
        assert result.samples.dtype == np.uint8
        assert result.samples.shape == (*FACES.shape[:1], result.samples.shape[1], *FACES.shape[1:])
        assert (result.samples[:, 0] == result.faces).all()
    if "z" in left:
        assert result.z.dtype == np.float32 and len(result.z) == len(NAMES)
    if "search" in left:
        columns = ["face", "step", "loss", "contextual", "prior", "unweighted"]
        assert list(result.search.columns) == columns
        assert set(result.search["face"]) == set(NAMES)
    for frame in (*result.progress, *result.interpolation):
        assert frame.dtype == np.uint8 and frame.shape == FACES.shape
    steps, seconds = zip(*result.course, strict=True) if result.course else ((), ())
    assert list(steps) == sorted(set(steps)) and list(seconds) == sorted(seconds)


def _listed(value):
    return [] if value is None else value


@every_kind
def test_it_writes_what_it_declares(kind, task, tmp_path):
    given = task(kind, FACES, masks_of("center"))
    result = example("methods", kind).complete(given)
    assert set(METHODS[kind].extra) <= EXTRA.keys()
    files = {"faces": tmp_path / "faces", "grid": tmp_path / "grid.png"}
    files |= {name: tmp_path / EXTRA[name] for name in METHODS[kind].extra}
    write(result, given, FACES, files)
    assert set(tmp_path.iterdir()) == set(files.values())
    assert len(NAMES) < GRID_FACES
    known = given.masks.known
    for row, name in enumerate(NAMES):
        face = decode_photo((files["faces"] / f"{name}.png").read_bytes(), 10**6)
        assert (face[known[row]] == FACES[row][known[row]]).all()
        assert (face[~known[row]] == result.faces[row][~known[row]]).all()


WALKING = [kind for kind, declared in METHODS.items() if "interpolation" in declared.extra]


@pytest.mark.parametrize("kind", WALKING)
def test_a_walk_visits_the_samples(kind, task):
    given, way = task(kind, FACES, masks_of("center")), places(3)
    result = example("methods", kind, samples=3).complete(given)
    stops = [number for number, place in enumerate(way) if place.share == 0]
    for number, sample in zip(stops, (0, 1, 2, 0), strict=True):
        assert (result.interpolation[number] == result.samples[given.watched, sample]).all()
    # The middle of the way is no fade of its ends.
    middle = (stops[1] + stops[2]) // 2
    ends = result.samples[given.watched, 1].astype(int) + result.samples[given.watched, 2]
    assert np.abs(result.interpolation[middle] - ends / 2).max() > 2


@every_mask
@every_kind
def test_hidden_pixels_do_not_matter(kind, mask, task):
    masks = masks_of(mask)
    noisy = noise_in_the_hole(FACES, masks)
    assert (noisy != FACES)[~masks.known].any()
    one = completed(kind, task(kind, FACES, masks))
    assert (completed(kind, task(kind, noisy, masks)) == one).all()
    assert (one[masks.known] == FACES[masks.known]).all()


@pytest.mark.parametrize("mask", ["center", "random", "freeform"])
@every_kind
def test_what_lies_in_the_hole_of_observed_does_not_matter(kind, mask, task):
    """Also where a caller leaves it there."""
    given = task(kind, FACES, masks_of(mask))
    left = Task(**(vars(given) | {"observed": noise_in_the_hole(FACES, given.masks)}))
    assert (completed(kind, left) == completed(kind, given)).all()


@every_mask
@every_kind
def test_a_face_is_completed_whatever_the_other_faces(kind, mask, task):
    masks = masks_of(mask)
    together = completed(kind, task(kind, FACES, masks))
    for row in (0, 2):
        alone = completed(kind, task(kind, FACES, masks, slice(row, row + 1)))
        assert (alone[0] == together[row]).all()


@every_kind
def test_it_is_repeatable(kind, task):
    given = task(kind, FACES, masks_of("freeform"))
    one, two = (example("methods", kind).complete(given) for _ in range(2))
    for name in {"faces", *EXTRA} - {"search"}:
        assert np.array_equal(_listed(getattr(one, name)), _listed(getattr(two, name)))
    assert one.search is None or one.search.equals(two.search)


@every_kind
def test_faces_with_nothing_hidden_or_nothing_known(kind, task):
    """A drawn mask may differ from face to face."""
    known = masks_of("center").known.copy()
    known[0], known[2] = True, False
    faces = completed(kind, task(kind, FACES, Masks(known)))
    assert (faces[0] == FACES[0]).all()
    alone = completed(kind, task(kind, FACES, masks_of("center"), slice(1, 2)))
    assert (faces[1] == alone[0]).all()


def test_methods_differ(task):
    faces = {
        kind: completed(kind, task(kind, FACES, masks_of("center"))).tobytes() for kind in METHODS
    }
    assert len(set(faces.values())) == len(METHODS)


@every_kind
def test_its_work_grows_with_the_faces(kind):
    """0 without a network."""
    method = example("methods", kind)
    models = {
        getattr(method, name): next(
            settings("models", model)
            for model, declared in kinds("models").items()
            if declared.provides == provides
        )
        for name, provides in method.references("models").items()
    }
    small, large = (method.work({"align": {"size": size}, "models": models}) for size in (64, 128))
    assert large > 2 * small if models else large == small == 0


NO_NETWORK = [kind for kind, declared in METHODS.items() if not declared.references("models")]


def test_without_a_network_torch_is_not_imported():
    """A comparison of such methods alone must not wait for it."""
    code = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT / "workflow")!r}]
import numpy as np
from contract.examples import example, settings
from facefill.complete import Task
from facefill.core.masking import Masks
faces, known = np.full((1, 32, 32, 3), 9, np.uint8), np.ones((1, 32, 32), bool)
known[:, 8:24, 8:24] = False
task = Task(names=["a"], observed=faces * known[..., None], masks=Masks(known), train=faces)
for kind in {NO_NETWORK}:
    example("methods", kind).complete(task)
    assert "torch" not in sys.modules, kind
"""
    subprocess.run([sys.executable, "-c", code], check=True)
