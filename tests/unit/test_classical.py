"""Completion without a network: known answers. What holds for every method: contract/."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from contract.examples import example
from facefill.complete import Task, lay_in
from facefill.core.masking import Masks, make_masks, observe
from facefill.kinds import kinds
from facefill.methods import Method
from facefill.methods.mean import Mean
from facefill.methods.patchmatch.fill import _Field
from holes import EVERY_MASK, smooth_faces

SIZE = 32
METHODS = [kind for kind, declared in kinds("methods").items() if declared.fill is not Method.fill]
DRIFT = 12  # levels: OpenCV's Telea adds a little at every pixel on its way into the hole


def run(kind, faces, masks, **settings):
    """The completed faces: what is known, and the method's pixels in the holes."""
    observed = observe(faces, masks)
    task = Task(names=[str(number) for number in range(len(faces))], observed=observed, masks=masks)
    filled = example("methods", kind, **settings).complete(task).faces
    return lay_in(observed, masks.known, filled)


def masks_of(mask, count=4):
    return make_masks(EVERY_MASK[mask], [f"{number}" for number in range(count)], SIZE, 1)


def box(size, top, bottom, left, right):
    """One mask that hides these rows and columns."""
    known = np.ones((1, size, size), bool)
    known[:, top:bottom, left:right] = False
    return Masks(known)


def worst(completed, faces):
    return np.abs(completed.astype(int) - faces).max()


# -- known answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("mask", EVERY_MASK)
@pytest.mark.parametrize("kind", METHODS)
def test_a_constant_goes_on(kind, mask):
    faces = np.broadcast_to(np.array([3, 120, 251], np.uint8), (2, SIZE, SIZE, 3))
    tolerance = DRIFT if kind == "telea" else 0
    assert worst(run(kind, faces, masks_of(mask, 2)), faces) <= tolerance


# The hole of the middle is as wide as half of the face: its mean colour is 62 levels off.
HOLES = [box(SIZE, 8, 24, 8, 24), box(SIZE, 3, 12, 20, 28)]


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("kind", ["biharmonic", "tv"])
def test_a_ramp_goes_on(kind, hole):
    """Each channel rises in a direction of its own: a plane solves both equations."""
    y, x = np.mgrid[:SIZE, :SIZE] * (248 / (SIZE - 1))
    faces = np.stack([x, y, 250 - (x + y) / 2], 2).round().astype(np.uint8)[None]
    settings = {"iterations": 2000} if kind == "tv" else {}
    completed = run(kind, faces, hole, **settings)
    assert worst(completed, faces) <= 1
    assert abs((completed.astype(int) - faces)[~hole.known].mean()) < 0.1  # rounded, not cut off


@pytest.mark.parametrize("turned", [False, True])
def test_total_variation_continues_a_straight_edge(turned):
    """All channels at the same place, where a smooth completion is 100 levels off."""
    left = (np.arange(SIZE) < 18)[None, :, None]
    faces = np.where(left, (20, 200, 90), (230, 60, 100)).astype(np.uint8)
    faces = np.broadcast_to(faces, (1, SIZE, SIZE, 3))
    faces = faces.transpose(0, 2, 1, 3) if turned else faces
    assert worst(run("tv", faces, HOLES[0], iterations=2000), faces) <= 15
    assert worst(run("biharmonic", faces, HOLES[0]), faces) > 90


def test_total_variation_is_least():
    """Below that of every other completion of the hole: of those a little aside, too, and of that
    which completes each channel by itself."""

    def variation(faces):
        padded = np.pad(faces.astype(float), [(0, 0), (0, 1), (0, 1), (0, 0)], "edge")
        here = padded[:, :-1, :-1]
        squares = (padded[:, 1:, :-1] - here) ** 2 + (padded[:, :-1, 1:] - here) ** 2
        return np.sqrt(squares.sum(-1)).sum((1, 2))

    faces, masks = smooth_faces(4, SIZE), masks_of("center")
    least = run("tv", faces, masks, iterations=1000)
    noise = np.random.default_rng(0).integers(-2, 3, faces.shape)
    aside = lay_in(faces, masks.known, (least + noise).clip(0, 255).astype(np.uint8))
    others = [run(kind, faces, masks) for kind in METHODS if kind != "tv"]
    grey = [run("tv", faces[..., [one] * 3], masks, iterations=1000) for one in range(3)]
    apart = np.stack([channel[..., 0] for channel in grey], -1)
    for other in [*others, aside, apart, faces]:
        assert (variation(least) < variation(other)).all()


def test_a_picture_of_low_rank_is_found():
    """Rank 2 in every channel, nothing smooth in it: other methods are 25 levels off on average."""
    random = np.random.default_rng(3)
    rows, columns = random.random((2, 2, SIZE)), random.random((2, 2, SIZE, 3))
    faces = (120 * np.einsum("iky,ikxc->iyxc", rows, columns)).astype(np.uint8)
    masks = Masks(random.random((2, SIZE, SIZE)) < 0.6)
    settings = {"iterations": 300, "threshold": 0.002}
    assert worst(run("low_rank", faces, masks, **settings), faces) <= 3
    assert worst(run("biharmonic", faces, masks), faces) > 60


def test_the_threshold_is_taken_off():
    """Of a picture of one singular value, half of it off, hidden pixels are half as far from the
    mean colour: too few to count themselves."""
    wave = np.sin(np.arange(SIZE) * np.pi / 8)
    faces = (120 + 100 * np.outer(wave, wave)).round().astype(np.uint8)[None, ..., None]
    faces = faces.repeat(3, axis=-1)
    known = np.ones((1, SIZE, SIZE), bool)
    known[:, [4, 20, 12], [12, 4, 28]] = False  # where it is farthest from the mean
    completed = run("low_rank", faces, Masks(known), iterations=100, threshold=0.5)
    off = (completed[~known].astype(int) - 120) / (faces[~known].astype(int) - 120)
    assert (np.abs(off - 0.5) < 0.05).all()


def test_a_row_wholly_hidden_becomes_the_mean_colour():
    faces, masks = smooth_faces(1, SIZE), box(SIZE, 4, 7, 0, SIZE)
    mean = faces[masks.known].mean(0).round()
    assert (run("low_rank", faces, masks)[0, 4:7] == mean).all()


@pytest.mark.parametrize("patch", [3, 4, 7])
def test_a_texture_is_put_together_again(patch):
    """Random tiles side by side: nothing but patches of the rest can say what was in the hole."""
    tile = np.random.default_rng(3).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    faces, hole = np.tile(tile, (1, 8, 8, 1)), box(64, 20, 44, 20, 44)
    assert worst(run("patchmatch", faces, hole, patch=patch, iterations=6), faces) == 0
    assert worst(run("biharmonic", faces, hole), faces) > 90


def test_one_search_finds_nearly_the_best_patches():
    """Without its random part, or without handing on, it is 1.4 or 3 times as far from them."""
    known = np.ones((48, 48), bool)
    known[16:32, 16:32] = False
    ratios = []
    for seed, face in enumerate(smooth_faces(4, 48).astype(np.float32)):
        field = _Field(face, known, 5, np.random.default_rng(seed))
        field.search()
        patches = np.lib.stride_tricks.sliding_window_view(face, (5, 5), (0, 1))
        targets, sources = (
            patches[there].reshape(-1, 75) for there in (field.wanted, field.source)
        )
        best = cdist(targets, sources, "sqeuclidean").min(1)
        found = field.distances[field.wanted]
        assert (found >= best).all()
        ratios.append(found.sum() / best.sum())
    assert np.mean(ratios) < 1.2


def test_the_seed_of_the_search_counts():
    faces, masks = smooth_faces(4, SIZE), masks_of("center")
    one, again, other = (run("patchmatch", faces, masks, seed=seed) for seed in (0, 0, 1))
    assert (one == again).all() and (one != other).any()


def test_where_no_patch_is_known_the_membrane_stays():
    """Every 4th pixel of a ramp is known: between them it goes on as a ramp, nearly."""
    rows = np.arange(SIZE)[:, None, None] * 8
    faces = np.broadcast_to(rows, (1, SIZE, SIZE, 3)).astype(np.uint8)
    completed = run("patchmatch", faces, masks_of("grid", 1))
    # Without what lies beside the outer known pixels, where nothing pulls.
    assert worst(completed[:, 4:25, :29], faces[:, 4:25, :29]) <= 3


def test_mean_face():
    train = np.stack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 101, np.uint8)])
    unknown = np.zeros((3, 64, 64), bool)
    observed = np.zeros((3, 64, 64, 3), np.uint8)
    task = Task(names=["a", "b", "c"], observed=observed, masks=Masks(unknown), train=train)
    faces = Mean().complete(task).faces
    assert faces.shape == (3, 64, 64, 3)
    assert (faces == 50).all()  # half to even


# -- every method that fills -------------------------------------------------------------------


@pytest.mark.parametrize("kind", METHODS)
def test_a_batch_of_every_kind_of_mask(kind):
    """Nothing hidden: the face as it is. All hidden: black. Between them the others as alone."""
    faces = smooth_faces(4, SIZE)
    known = masks_of("center").known.copy()
    known[0], known[2] = True, False
    completed = run(kind, faces, Masks(known))
    assert (completed[0] == faces[0]).all()
    assert (completed[2] == 0).all()
    assert (completed[1::2] == run(kind, faces[1::2], Masks(known[1::2]))).all()
    assert (completed[1] != 0).any(-1).all()


@pytest.mark.parametrize("where", [(0, 0), (5, 31), (13, 14)])
@pytest.mark.parametrize("kind", METHODS)
def test_a_single_known_pixel(kind, where):
    """It is all there is to go on: the whole face in its colour."""
    faces, known = smooth_faces(1, SIZE), np.zeros((1, SIZE, SIZE), bool)
    known[0, *where] = True
    completed = run(kind, faces, Masks(known))
    assert worst(completed, faces[0][where]) <= (DRIFT if kind == "telea" else 0)


@pytest.mark.parametrize("size", [33, 64, 100, 128])
@pytest.mark.parametrize("kind", METHODS)
def test_other_sizes(kind, size):
    faces = np.random.default_rng(0).integers(60, 200, (1, size, size, 3)).astype(np.uint8)
    masks = make_masks(EVERY_MASK["center"], ["a"], size, 1)
    completed = run(kind, faces, masks)
    assert (completed[masks.known] == faces[masks.known]).all()
    assert (completed[~masks.known] != 0).any(-1).all()


@pytest.mark.parametrize("factor", [2, 6, 15])
@pytest.mark.parametrize("kind", METHODS)
def test_block_means_are_followed(kind, factor):
    """They are known at the middles of their blocks; with blocks of 2 there is nothing else."""
    faces = np.random.default_rng(0).integers(0, 256, (1, 60, 60, 3)).astype(np.uint8)
    masks = make_masks({"kind": "lowres", "factor": factor}, ["a"], 60, 1)
    means, completed = observe(faces, masks), run(kind, faces, masks)
    for middle in {factor // 2, (factor - 1) // 2}:
        every = slice(middle, None, factor)
        assert (completed[:, every, every] == means[:, every, every]).all()
    assert factor == 2 or (completed != means).any()


@pytest.mark.parametrize("kind", ["telea", "navier_stokes", "biharmonic", "patchmatch"])
def test_blocks_of_two_colours_give_two_halves(kind):
    faces = np.zeros((1, 60, 60, 3), np.uint8)
    faces[:, :30], faces[:, 30:] = (20, 90, 160), (200, 30, 110)
    completed = run(kind, faces, make_masks({"kind": "lowres", "factor": 6}, ["a"], 60, 1))
    assert np.abs(completed.astype(int) - faces).mean() < 5  # the mean colour: 48


def test_methods_are_different_methods():
    faces, masks = smooth_faces(4, SIZE), masks_of("center")
    completed = {kind: run(kind, faces, masks).tobytes() for kind in METHODS}
    assert len(set(completed.values())) == len(METHODS)
