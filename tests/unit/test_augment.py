"""DiffAugment: what each kind does to a face, that gradients pass, and that draws repeat."""

import itertools

import pytest
import torch

from facefill.models.dcgan.augment import AUGMENTATIONS, augment

SIZE = 32
KINDS = list(AUGMENTATIONS)


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def faces(count=8):
    return torch.rand(count, 3, SIZE, SIZE, generator=random(9)) * 2 - 1


def test_the_kinds_of_the_schema():
    assert KINDS == ["color", "translation", "cutout"]


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS])
def test_every_face_changes_and_keeps_its_shape(kinds):
    before = faces()
    given = before.clone()
    after = augment(given, kinds, random())
    assert after.shape == before.shape and after.dtype == before.dtype
    assert torch.equal(given, before)  # not in place
    assert ((after - before).abs().amax((1, 2, 3)) > 0.01).all()


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS])
def test_equal_generators_draw_alike(kinds):
    one, two = (augment(faces(), kinds, random()) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(faces(), kinds, random(1)))


def test_draws_follow_one_another():
    source = random()
    one, two = (augment(faces(), ["color"], source) for _ in range(2))
    assert not torch.equal(one, two)


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS])
def test_faces_in_a_batch_are_changed_apart(kinds):
    alike = faces(1).expand(8, -1, -1, -1)
    changed = augment(alike, kinds, random())
    for one, two in itertools.combinations(changed, 2):
        assert not torch.equal(one, two)


def test_no_kinds_change_nothing_and_draw_nothing():
    source, given = random(), faces()
    before = source.get_state()
    assert augment(given, (), source) is given
    assert torch.equal(source.get_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass(kind):
    """Every kind is linear in a face but for its offset: the gradient is that of a difference."""
    given = faces(4).double().requires_grad_()
    weights = torch.rand(given.shape, generator=random(3)).double()
    (gradient,) = torch.autograd.grad((augment(given, [kind], random()) * weights).sum(), given)
    step = torch.rand(given.shape, generator=random(4)).double()
    moved = augment(given + step, [kind], random()) - augment(given, [kind], random())
    assert (gradient * step).sum().item() == pytest.approx((moved * weights).sum().item(), rel=1e-9)
    assert (gradient.abs().sum((1, 2, 3)) > 0).all()


def test_color_shifts_brightness_by_up_to_a_half():
    changed = augment(torch.zeros(500, 3, 8, 8), ["color"], random())
    assert torch.allclose(changed, changed[:, :1, :1, :1].expand_as(changed), atol=1e-6)
    level = changed[:, 0, 0, 0]
    assert -0.5 <= level.min() < -0.48
    assert 0.48 < level.max() <= 0.5


def test_color_scales_contrast_from_a_half_to_one_and_a_half():
    grey = faces(1)[:, :1].expand(500, 3, -1, -1)  # without colour: saturation has no say
    changed = augment(grey, ["color"], random())
    assert torch.allclose(changed[:, 0], changed[:, 2], atol=1e-5)
    contrast = changed.std((1, 2, 3)) / grey.std((1, 2, 3))
    assert 0.5 - 1e-4 <= contrast.min() < 0.52
    assert 1.48 < contrast.max() <= 1.5 + 1e-4
    # The mean moves with the brightness alone.
    assert (changed.mean((1, 2, 3)) - grey.mean((1, 2, 3))).abs().max() <= 0.5 + 1e-5


def test_color_scales_saturation_from_none_to_twice():
    flat = torch.tensor([-0.3, 0.0, 0.3])[None, :, None, None].expand(2000, 3, 8, 8)
    changed = augment(flat, ["color"], random())[:, :, 0, 0]
    saturation = (changed[:, 2] - changed[:, 0]) / 0.6  # times contrast, 0.5 to 1.5
    assert torch.allclose(changed[:, 1], (changed[:, 0] + changed[:, 2]) / 2, atol=1e-5)
    assert -1e-5 <= saturation.min() < 0.02
    assert 2.6 < saturation.max() <= 3 + 1e-4
    assert saturation.mean().item() == pytest.approx(1, abs=0.05)


def shift(before, after):
    """How far a face was moved down and right; the rest must be 0."""
    size = before.shape[-1]
    for down, right in itertools.product(range(-3, 4), repeat=2):
        expected = torch.zeros_like(before)
        to = [slice(max(0, by), size + min(0, by)) for by in (down, right)]
        source = [slice(max(0, -by), size + min(0, -by)) for by in (down, right)]
        expected[:, to[0], to[1]] = before[:, source[0], source[1]]
        if torch.equal(expected, after):
            return down, right
    raise AssertionError("not a translation filled with 0")


def test_translation_moves_by_at_most_an_eighth_and_fills_with_0():
    size, most = 16, 2
    before = torch.rand(200, 3, size, size, generator=random(9)) + 0.1
    after = augment(before, ["translation"], random())
    shifts = {shift(*pair) for pair in zip(before, after, strict=True)}
    everywhere = set(itertools.product(range(-most, most + 1), repeat=2))
    assert shifts == everywhere  # all 25, none beyond


def test_cutout_zeroes_a_square_of_half_the_side():
    before = torch.rand(300, 3, SIZE, SIZE, generator=random(9)) + 0.1
    after = augment(before, ["cutout"], random())
    gone = after == 0
    assert torch.equal(after[~gone], before[~gone])
    assert (gone[:, :1] == gone).all()  # in all channels alike
    heights, widths = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert torch.equal(heights * widths, gone[:, 0].sum((1, 2)))  # it is a rectangle
    whole = 0
    for height, width, one in zip(heights.tolist(), widths.tolist(), gone[:, 0], strict=True):
        # Where it does not reach over the face's edge it is a square of half the face's side.
        rows, columns = one.any(1), one.any(0)
        assert height == SIZE // 2 or (rows[0] or rows[-1])
        assert width == SIZE // 2 or (columns[0] or columns[-1])
        assert min(height, width) >= SIZE // 4 and max(height, width) <= SIZE // 2
        whole += height == width == SIZE // 2
    assert 40 < whole < 120  # its middle lies in the face's: one in four
