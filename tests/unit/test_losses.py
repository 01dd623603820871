"""Adversarial losses and the gradient penalty, against numbers worked out by hand."""

import math

import pytest
import torch
from torch import nn

from facefill.models.dcgan.losses import discriminator_loss, generator_loss, r1_penalty, verdict

REAL, FAKE = torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 3.0])


def log1p_exp(x):
    """-log of the probability that a logit of -x gives to "real"."""
    return math.log(1 + math.exp(x))


@pytest.mark.parametrize(
    ("loss", "smoothing", "expected"),
    [
        # Real faces pay -log p, samples -log(1 - p).
        ("bce", 0.0, (log1p_exp(0) + log1p_exp(-2)) / 2 + (log1p_exp(-1) + log1p_exp(3)) / 2),
        # A tenth of every real face's target says "no face": -log(1 - p) = x - log p.
        ("bce", 0.1, (log1p_exp(0) + log1p_exp(-2) + 0.2) / 2 + (log1p_exp(-1) + log1p_exp(3)) / 2),
        ("hinge", 0.0, (1 + 0) / 2 + (0 + 4) / 2),
        ("lsgan", 0.0, ((1 + 1) / 2 + (1 + 9) / 2) / 2),
        ("lsgan", 0.1, ((0.81 + 1.21) / 2 + (1 + 9) / 2) / 2),
    ],
)
def test_discriminator_loss_by_hand(loss, smoothing, expected):
    assert discriminator_loss(loss, REAL, FAKE, smoothing).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("bce", (log1p_exp(1) + log1p_exp(-3)) / 2),  # the non-saturating one
        ("hinge", -(-1 + 3) / 2),
        ("lsgan", (4 + 4) / 2 / 2),
    ],
)
def test_generator_loss_by_hand(loss, expected):
    assert generator_loss(loss, FAKE).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("bce", (1 / (1 + math.exp(1)) + 1 / (1 + math.exp(-3))) / 2),
        ("hinge", (1 / (1 + math.exp(1)) + 1 / (1 + math.exp(-3))) / 2),
        ("lsgan", (0 + 1) / 2),  # -1 and 3 are no probabilities
    ],
)
def test_verdict_by_hand(loss, expected):
    assert verdict(loss, FAKE).item() == pytest.approx(expected)


def test_an_undecided_d():
    """What it pays, and what it says: between a real face and a sample."""
    undecided = {"bce": 0.0, "hinge": 0.0, "lsgan": 0.5}
    expected = {"bce": 2 * math.log(2), "hinge": 2.0, "lsgan": 0.25}
    for loss, logit in undecided.items():
        logits = torch.full((3,), logit)
        assert verdict(loss, logits).item() == pytest.approx(0.5)
        assert discriminator_loss(loss, logits, logits, 0.0).item() == pytest.approx(expected[loss])


@pytest.mark.parametrize("loss", ["bce", "hinge", "lsgan"])
def test_d_and_g_pull_a_samples_logit_apart(loss):
    logits = torch.tensor([0.2, 0.4], requires_grad=True)
    (of_g,) = torch.autograd.grad(generator_loss(loss, logits), logits)
    (of_d,) = torch.autograd.grad(discriminator_loss(loss, REAL, logits, 0.0), logits)
    assert (of_g < 0).all()  # a step against the gradient raises the logit
    assert (of_d > 0).all()


@pytest.mark.parametrize("loss", ["bce", "hinge", "lsgan"])
def test_losses_are_computed_in_float32(loss):
    half = FAKE.bfloat16()
    values = discriminator_loss(loss, REAL.bfloat16(), half, 0.0), generator_loss(loss, half)
    assert all(value.dtype == torch.float32 for value in (*values, verdict(loss, half)))


def test_r1_of_a_linear_d_is_half_its_squared_weight():
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    weight = discriminator[1].weight
    penalty = r1_penalty(discriminator, torch.randn(5, 3, 4, 4))
    assert penalty.item() == pytest.approx(weight.square().sum().item() / 2, rel=1e-5)
    penalty.backward()  # half the square of the weight has the weight as its gradient
    assert torch.allclose(weight.grad, weight, atol=1e-6)


def test_r1_is_the_mean_over_the_faces():
    faces = torch.ones(2, 3, 4, 4)
    faces[1] = 2

    def discriminator(pixels):
        return pixels.square().sum((1, 2, 3))  # its gradient is 2 x: 2 and 4 at 48 values

    assert r1_penalty(discriminator, faces).item() == pytest.approx(48 * (4 + 16) / 2 / 2)
    assert not faces.requires_grad
