"""Which epochs are tried, which is kept, and the search on unseen faces that decides it."""

import numpy as np
import pytest
import torch
from test_complete import faces, one_thread  # noqa: F401

from facefill.core import device
from facefill.core.tensors import from_unit, to_unit
from facefill.models.dcgan import validation
from facefill.models.dcgan.networks import Generator
from facefill.models.dcgan.validation import Validation
from facefill.train.best import CHECKS, best_epoch, checked_epochs

pytestmark = pytest.mark.usefixtures("one_thread", "short_search")

Z_DIM = 8
SIZE = 32
HOLE = slice(SIZE // 4, SIZE * 3 // 4)


@pytest.fixture
def short_search(monkeypatch):
    monkeypatch.setattr(validation, "STEPS", 20)


@pytest.mark.parametrize("epochs", [1, 3, 8, 9, 20, 25, 28])
def test_checked_epochs(epochs):
    checked = checked_epochs(epochs)
    assert checked == sorted(set(checked))
    assert len(checked) == min(epochs, CHECKS)
    assert checked[-1] == epochs and checked[0] >= 1
    gaps = np.diff([0, *checked])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({3: (20.0, 0.5)}, 3),
        ({3: (20.0, 0.5), 6: (20.05, 0.51)}, 3),  # 0.01 of distance weighs 0.1 dB
        ({3: (20.0, 0.5), 6: (20.15, 0.51)}, 6),
        ({3: (20.0, 0.5), 6: (19.95, 0.49)}, 6),
        ({3: (20.0, 0.5), 6: (19.85, 0.49)}, 3),
        ({3: (20.0, 0.5), 6: (20.0, 0.5)}, 3),  # of equal ones the first
    ],
)
def test_best_epoch(scores, best):
    assert best_epoch(scores) == best


def validate(pixels, start=None):
    if start is None:
        start = torch.randn(len(pixels), Z_DIM, generator=torch.manual_seed(0))
    return Validation(pixels, 1.0, start, "normal", device.choose("cpu"))


def generator():
    torch.manual_seed(0)
    network = Generator(SIZE, Z_DIM, 8, 4, False)
    for parameter in network.parameters():
        parameter.data *= 4  # untrained, but with something to see
    network(torch.randn(64, Z_DIM))  # gives BatchNorm its statistics
    return network.eval().requires_grad_(False)


def always(pixels):
    """A generator that knows the faces, whatever z is."""
    made = to_unit(torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2))
    return lambda z: made + 0 * z.sum()


@pytest.mark.slow
def test_it_is_always_the_same_test(faces):  # noqa: F811
    start = torch.randn(2, Z_DIM, generator=torch.manual_seed(1))
    before, test, network = start.clone(), validate(faces[:2], start), generator()
    weights = [tensor.clone() for tensor in network.state_dict().values()]
    one, two = test(network), test(network)
    assert one == two
    assert torch.equal(start, before)
    after = network.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(weights, after, strict=True))
    assert one != test(always(faces[1:3]))


def test_a_perfect_generator_has_the_best_scores(faces):  # noqa: F811
    test = validate(faces[:2])
    assert test(always(faces[:2])) == (100, 0)
    hole_psnr, distance = test(always(np.full_like(faces[:2], 128)))
    assert hole_psnr < 20 and distance > 0.05


def test_hole_psnr_by_hand(faces):  # noqa: F811
    off = np.where(faces < 128, faces + 10, faces - 10).astype(np.uint8)
    hole_psnr, distance = validate(faces[:2])(always(off[:2]))
    assert hole_psnr == pytest.approx(10 * np.log10(255**2 / 100))
    assert distance > 0


def test_only_the_hole_counts(faces):  # noqa: F811
    wrong_outside = np.zeros_like(faces[:2])
    wrong_outside[:, HOLE, HOLE] = faces[:2, HOLE, HOLE]
    assert validate(faces[:2])(always(wrong_outside)) == (100, 0)
    wrong_inside = faces[:2].copy()
    wrong_inside[:, HOLE, HOLE] = 0
    assert validate(faces[:2])(always(wrong_inside))[0] < 20


def test_the_search_does_not_see_the_hole(faces):  # noqa: F811
    noisy = faces[:2].copy()
    noise = np.random.default_rng(1).integers(0, 256, noisy.shape)
    noisy[:, HOLE, HOLE] = noise[:, HOLE, HOLE]
    one, two = (validate(pixels)._search(generator()) for pixels in (faces[:2], noisy))
    assert np.array_equal(one, two)
    noisy[:, 0] = noise[:, 0]
    assert not np.array_equal(one, validate(noisy)._search(generator()))


def test_the_search_finds_what_the_generator_can_make(monkeypatch):
    network = generator()
    hidden = torch.randn(2, Z_DIM, generator=torch.manual_seed(5)) * 0.7
    own = from_unit(network(hidden)).permute(0, 2, 3, 1).numpy()
    found = validate(own)(network)
    monkeypatch.setattr(validation, "STEPS", 0)
    unsearched = validate(own)(network)
    assert found[0] > unsearched[0] + 2
    assert best_epoch({1: unsearched, 2: found}) == 2


def test_a_generator_that_has_learnt_scores_better(faces):  # noqa: F811
    """Not as a GAN does, which takes long: by heart, some z for each of the faces."""
    network, start = generator(), torch.randn(2, Z_DIM, generator=torch.manual_seed(0))
    untrained = validate(faces[:2])(network)
    wanted = to_unit(torch.from_numpy(faces[:2].copy()).permute(0, 3, 1, 2))
    network.requires_grad_(True)
    adam = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        adam.zero_grad()
        (network(start) - wanted).abs().mean().backward()
        adam.step()
    network.requires_grad_(False)
    trained = validate(faces[:2])(network)
    assert trained[0] > untrained[0] + 1
    assert best_epoch({1: untrained, 2: trained}) == 2
