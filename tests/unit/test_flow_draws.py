"""Where a flow begins: kriging, analogs, draws, and what no photograph has."""

import numpy as np
import pytest
import torch
from test_complete import NAMES, faces, one_thread  # noqa: F401

from facefill.complete import Task
from facefill.core.masking import make_masks, observe
from facefill.core.tensors import to_unit
from facefill.kinds import make
from facefill.methods.flow import fill
from facefill.methods.flow.draws import SHORT, tempered
from facefill.models.flow.analogs import FEWEST, NEAREST, Analogs, one_of
from facefill.models.flow.cleaning import LEAST, cleaned, cleaning_of, none
from facefill.models.flow.grain import filter_of, filtered, widened
from facefill.models.flow.guess import Guess, Posterior, Seen, see
from facefill.models.flow.kriging import NOISE, interpolated
from facefill.models.flow.trained import mean
from holes import EVERY_MASK, smooth_faces
from untrained import SIZE, normal, save_flow

# ruff: noqa: F811
CPU = torch.device("cpu")


def blurred(count, size, seed=0):
    """Noise whose neighbours are alike: [count, 3, size, size], of variance 1."""
    random = torch.Generator().manual_seed(seed)
    white = torch.randn(count, 3, size + 2, size + 2, generator=random)
    return 3 * torch.nn.functional.avg_pool2d(white, 3, 1)


def test_kriging_is_the_conditional_mean():
    size, deviations = 16, torch.full((3, 16, 16), 0.1)
    root = filter_of([0.1 * blurred(400, size)], deviations)
    power = root @ root
    known = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(1)) < 0.4

    def project(pictures):
        return pictures * known

    every = torch.eye(3 * size**2).view(-1, 3, size, size)
    margin = widened(power).shape[0] - size
    padded = torch.nn.functional.pad(every, (0, margin, 0, margin))
    covariance = 0.01 * filtered(padded, widened(power))[..., :size, :size].flatten(1).double()
    rows = known.expand(1, 3, -1, -1).flatten()
    residuals = 0.1 * blurred(5, size, seed=2)
    within = covariance[rows][:, rows] + NOISE * torch.eye(int(rows.sum()), dtype=torch.float64)
    weights = torch.linalg.solve(within, residuals.flatten(1)[:, rows].double().T)
    exact = (covariance[:, rows] @ weights).T.float().view_as(residuals)
    found = interpolated(project(residuals), project, deviations, widened(power))
    assert (found - exact).norm() < 0.1 * exact.norm()
    hidden = ~known.expand(5, 3, -1, -1)
    assert (found - residuals)[hidden].var() < 0.8 * residuals[hidden].var()


def test_opposite_edges_have_nothing_to_do_with_each_other():
    known = np.zeros((SIZE, SIZE), bool)
    known[:, SIZE // 2 :] = True
    guess = Guess.of(normal())
    guess.learn_filters(smooth_faces(60, SIZE))
    posterior = Posterior(guess, [(known, 0)], CPU)
    base = posterior.faces(torch.zeros(1, len(guess.scales)))
    changed = base.clone()
    changed[..., -1] += 0.2
    seen = see(changed, torch.from_numpy(known)[None, None], torch.zeros(1, dtype=torch.long))
    added = (posterior.refined(base, seen) - base).abs()
    assert added[..., :4].max() < 0.01 * added.max()


@pytest.mark.parametrize("mask", ["center", "lowres"])
def test_draws_of_the_normal_err_as_guesses_do(mask):
    made, masks, count = normal(), make_masks(EVERY_MASK[mask], NAMES[:1], SIZE, 1.0), 400
    guess = Guess.of(made)
    posterior = Posterior(guess, [(masks.known[0], masks.block)], CPU)
    random = torch.Generator().manual_seed(0)

    def numbers():
        z = torch.randn(count, len(guess.scales), generator=random)
        return z, torch.randn(count, *guess.mean.shape, generator=random)

    z, grain = numbers()
    people = posterior.faces(z) + guess.grain * filtered(grain, guess.texture)
    known = torch.from_numpy(masks.known[0]).expand(count, 1, -1, -1)
    seen = see(people, known, torch.full((count,), masks.block))
    at = torch.zeros(count, dtype=torch.long)
    errors = people - posterior.refined(posterior.faces(posterior.coefficients(seen, at)), seen)
    drawn = posterior.deviations(seen, at, *numbers())
    hidden = (~known).expand_as(drawn)
    assert drawn[hidden].std().item() == pytest.approx(errors[hidden].std().item(), rel=0.05)
    assert abs(drawn[hidden].mean().item()) < 0.1 * drawn[hidden].std().item()
    assert torch.stack([drawn[hidden], errors[hidden]]).corrcoef()[0, 1].abs() < 0.1


def test_analogs_are_alike_where_faces_are_known():
    pictures = smooth_faces(40, SIZE)
    analogs = Analogs(pictures, CPU)
    unit = to_unit(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    known = torch.zeros(40, 1, SIZE, SIZE, dtype=torch.bool)
    known[..., : SIZE // 2 + 1] = True  # a column of cells is known by half

    def nearest(observed, without=None):
        seen = Seen(observed, known, known.float(), torch.zeros(40, dtype=torch.long))
        return analogs.nearest(seen, without)

    one, two = (nearest(each) for each in (unit, torch.where(known, unit, -unit)))
    assert torch.equal(one, two)  # what is hidden does not count
    assert one[:, 0].tolist() == list(range(40))
    mirrored = nearest(unit.flip(3))
    assert (mirrored[:, 0] == torch.arange(40) + 40).float().mean() > 0.9
    assert torch.equal(analogs.pictures(torch.tensor([3, 43])), unit[[3, 3]].clone().index_copy(
        0, torch.tensor([1]), unit[3:4].flip(3)))  # fmt: skip
    others = nearest(unit, without=slice(0, 10))
    assert others.shape[1] == 60 and ((others % 40) >= 10).all()


def test_the_grain_of_blocks_is_not_compared():
    """A block's mean has none, so that a smooth face would be preferred to the rough one itself."""
    pictures = 128 + (smooth_faces(40, SIZE).astype(int) - 128) // 4
    pictures[:20] += 60 * ((-1) ** np.indices((SIZE, SIZE)).sum(0))[..., None]
    pictures = pictures.astype(np.uint8)
    unit = to_unit(torch.from_numpy(pictures[:20]).permute(0, 3, 1, 2))
    nothing = torch.zeros(20, 1, SIZE, SIZE, dtype=torch.bool)
    found = Analogs(pictures, CPU).nearest(see(unit, nothing, torch.full((20,), 4)))
    assert found[:, 0].tolist() == list(range(20))


def test_where_nothing_is_known_any_face_is_an_analog():
    analogs = Analogs(smooth_faces(200, SIZE), CPU)
    nothing = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.bool)
    seen = see(torch.zeros(1, 3, SIZE, SIZE), nothing, torch.zeros(1, dtype=torch.long))
    found = analogs.nearest(seen)[0]
    assert len(set(found.tolist())) == NEAREST and found.max() > 300 and found.min() < 100


def test_one_analog_is_drawn():
    found = torch.tensor([[5, 6, 7, 8], [1, 2, 3, 4]])
    assert one_of(found, torch.tensor([0.0, 0.99])).tolist() == [5, 4]


def test_cleaning_takes_colours_of_single_pixels_away():
    random = torch.Generator().manual_seed(0)
    grey = 0.2 * blurred(200, 32)[:, :1].expand(-1, 3, -1, -1)  # luma with details
    colours = grey + 0.2 * torch.randn(200, 3, 1, 1, generator=random)
    rounding = (torch.rand(200, 3, 32, 32, generator=random) - 0.5) / 127.5
    learnt = cleaning_of([colours + rounding], 32)
    even = torch.full((1, 3, 16, 16), 0.3)
    assert torch.allclose(cleaned(even, learnt), even, atol=1e-4)
    speckles = 0.05 * torch.randn(20, 3, 32, 32, generator=random)
    speckles -= speckles.mean(1, keepdim=True)  # colour alone
    assert cleaned(speckles, learnt).std() / speckles.std() == pytest.approx(LEAST, abs=0.1)
    assert (cleaned(grey[:20], learnt) - grey[:20]).std() < 0.1 * grey.std()
    assert torch.allclose(cleaned(speckles, none(32)), speckles, atol=1e-6)


def test_a_temperature_takes_long_waves_back_alone():
    steps = torch.arange(64.0)
    slow, fast = (torch.sin(2 * np.pi * steps / wave).expand(1, 3, 64, -1) for wave in (64, 4))
    drawn = tempered(slow + fast, 0.5)
    inner = (..., slice(16, 48), slice(16, 48))
    assert torch.allclose((drawn - SHORT * fast)[inner], 0.52 * slow[inner], atol=0.03)
    assert torch.allclose(tempered(slow, 1.0)[inner], slow[inner], atol=0.01)


@pytest.fixture
def task(faces, one_thread, tmp_path):
    masks = make_masks(EVERY_MASK["center"], NAMES, SIZE, 1.0)
    return Task(
        names=NAMES,
        observed=observe(faces, masks),
        masks=masks,
        models={"model": save_flow(tmp_path / "flow")},
        train=smooth_faces(FEWEST, SIZE),
    )


def by(draws="analogs", **settings):
    return make("methods", {"kind": "flow", "faces": None, "masks": None, "model": "flow",
                            "samples": 2, "steps": 3, "draws": draws, "temperature": 0.7,
                            "blend": "none"} | settings)  # fmt: skip


@pytest.mark.parametrize("draws", ["analogs", "normal"])
def test_samples_differ_and_their_number_changes_none(task, draws):
    made, more = (fill.samples(task, by(draws, samples=count))[0] for count in (2, 3))
    assert np.array_equal(made, more[:, :2])
    hidden = ~task.masks.known
    assert (made[:, 0][hidden] != made[:, 1][hidden]).mean() > 0.5


def test_by_a_bundle_samples_are_those_of_the_normal(task):
    """A bundle has the mean face in the place of a training split."""
    few = Task(**vars(task) | {"train": task.train[:1]})
    assert np.array_equal(fill.samples(few, by())[0], fill.samples(task, by("normal"))[0])
    assert not np.array_equal(fill.samples(task, by())[0], fill.samples(task, by("normal"))[0])


def test_samples_gain_as_means_do_from_mirror_images(task, monkeypatch):
    """Of ways that end at the mean of one face the samples are the mean of both images."""

    def end(flow, seen, guess, drawn, steps):
        return mean(flow, seen, guess)

    monkeypatch.setattr(fill, "sample", end)
    hidden = ~task.masks.known
    one, both = (fill.means(task, mirror=mirror).astype(int)[hidden] for mirror in (False, True))
    ended = fill.samples(task, by())[0][:, 0].astype(int)[hidden]
    assert np.abs(ended - both).max() <= 1 < np.abs(one - both).max()


def test_a_walk_keeps_the_spread(task):
    """Half-way both draws weigh 0.71, whose squares add up to 1: a fade would lose variance."""
    walk = fill.samples(task, by(steps=1, temperature=1.0))[1].astype(float)
    hidden = ~task.masks.known[task.watched]
    first, middle, second = walk[0][hidden], walk[3][hidden], walk[6][hidden]
    assert np.abs(middle - (first + second) / 2).mean() > 1
    assert middle.std() == pytest.approx((first.std() + second.std()) / 2, rel=0.2)
