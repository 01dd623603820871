"""Adversarial losses and gradient penalties, against numbers worked out by hand."""

import math

import pytest
import torch
from torch import nn

from contract.examples import example
from facefill.core import device
from facefill.models.dcgan.losses import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    verdict,
)
from facefill.models.dcgan.training import PENALTY_EVERY, Players, step

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
        ("rpgan", 0.0, (log1p_exp(-1) + log1p_exp(1)) / 2),  # by 1 more real, and by 1 less
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
        ("rpgan", (log1p_exp(1) + log1p_exp(-1)) / 2),
    ],
)
def test_generator_loss_by_hand(loss, expected):
    assert generator_loss(loss, FAKE, REAL).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("bce", (1 / (1 + math.exp(1)) + 1 / (1 + math.exp(-3))) / 2),
        ("hinge", (1 / (1 + math.exp(1)) + 1 / (1 + math.exp(-3))) / 2),
        ("lsgan", (0 + 1) / 2),  # -1 and 3 are no probabilities
        ("rpgan", (1 / (1 + math.exp(2)) + 1 / (1 + math.exp(-1))) / 2),
    ],
)
def test_verdict_by_hand(loss, expected):
    assert verdict(loss, FAKE, torch.tensor([1.0, 2.0])).item() == pytest.approx(expected)


def test_an_undecided_d():
    """What it pays, and what it says: between a real face and a sample."""
    undecided = {"bce": 0.0, "hinge": 0.0, "lsgan": 0.5, "rpgan": 7.0}
    expected = {"bce": 2 * math.log(2), "hinge": 2.0, "lsgan": 0.25, "rpgan": math.log(2)}
    for loss, logit in undecided.items():
        logits = torch.full((3,), logit)
        assert verdict(loss, logits, logits).item() == pytest.approx(0.5)
        assert discriminator_loss(loss, logits, logits, 0.0).item() == pytest.approx(expected[loss])


def test_only_differences_count_for_rpgan():
    """D may call all faces real, or none: neither losses nor verdicts know."""
    for shift in (-100.0, 100.0):
        real, fake = REAL + shift, FAKE + shift
        for value, shifted in (
            (
                discriminator_loss("rpgan", REAL, FAKE, 0.0),
                discriminator_loss("rpgan", real, fake, 0.0),
            ),
            (generator_loss("rpgan", FAKE, REAL), generator_loss("rpgan", fake, real)),
            (verdict("rpgan", FAKE, REAL), verdict("rpgan", fake, real)),
        ):
            assert shifted.item() == pytest.approx(value.item(), rel=1e-4)
    verdicts = verdict("rpgan", REAL, FAKE) + verdict("rpgan", FAKE, REAL)
    assert verdicts.item() == pytest.approx(1)


def test_the_pairs_of_rpgan_are_those_of_one_number():
    apart = discriminator_loss("rpgan", torch.tensor([0.0, 9.0]), torch.tensor([9.0, 0.0]), 0.0)
    level = discriminator_loss("rpgan", torch.tensor([9.0, 0.0]), torch.tensor([9.0, 0.0]), 0.0)
    assert apart.item() == pytest.approx((log1p_exp(9) + log1p_exp(-9)) / 2)
    assert level.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", ["bce", "hinge", "lsgan", "rpgan"])
def test_d_and_g_pull_a_samples_logit_apart(loss):
    logits = torch.tensor([0.2, 0.4], requires_grad=True)
    (of_g,) = torch.autograd.grad(generator_loss(loss, logits, REAL), logits)
    (of_d,) = torch.autograd.grad(discriminator_loss(loss, REAL, logits, 0.0), logits)
    assert (of_g < 0).all()  # a step against the gradient raises the logit
    assert (of_d > 0).all()


@pytest.mark.parametrize("loss", ["bce", "hinge", "lsgan", "rpgan"])
def test_losses_are_computed_in_float32(loss):
    real, fake = REAL.bfloat16(), FAKE.bfloat16()
    values = discriminator_loss(loss, real, fake, 0.0), generator_loss(loss, fake, real)
    assert all(value.dtype == torch.float32 for value in (*values, verdict(loss, fake, real)))


def test_the_penalty_of_a_linear_d_is_half_its_squared_weight():
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    weight = discriminator[1].weight
    penalty = gradient_penalty(discriminator, torch.randn(5, 3, 4, 4))
    assert penalty.item() == pytest.approx(weight.square().sum().item() / 2, rel=1e-5)
    penalty.backward()  # half the square of the weight has the weight as its gradient
    assert torch.allclose(weight.grad, weight, atol=1e-6)


def test_the_penalty_is_the_mean_over_the_faces():
    faces = torch.ones(2, 3, 4, 4)
    faces[1] = 2

    def discriminator(pixels):
        return pixels.square().sum((1, 2, 3))  # its gradient is 2 x: 2 and 4 at 48 values

    assert gradient_penalty(discriminator, faces).item() == pytest.approx(48 * (4 + 16) / 2 / 2)
    assert not faces.requires_grad


class TinyDiscriminator(nn.Module):
    """v tanh(W x): its gradient at x is W' (v (1 - tanh(W x)^2))."""

    def __init__(self):
        super().__init__()
        self.w, self.v = nn.Parameter(torch.randn(5, 48)), nn.Parameter(torch.randn(5))

    def forward(self, faces):
        return torch.tanh(faces.flatten(1) @ self.w.T) @ self.v

    def penalty(self, faces):
        slopes = self.v * (1 - torch.tanh(faces.flatten(1) @ self.w.T).square())
        return (slopes @ self.w).square().sum(1).mean() / 2


@pytest.mark.parametrize("loss", ["bce", "rpgan"])
@pytest.mark.parametrize(("r1", "r2"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.25), (0.5, 0.25)])
def test_d_pays_r1_at_real_faces_and_r2_at_samples(loss, r1, r2):
    """For all steps until the next penalty, which leaves G's samples to G."""
    torch.manual_seed(0)
    settings = example("models", "dcgan", loss=loss, label_smoothing=0.0, r1=r1, r2=r2)
    discriminator = TinyDiscriminator()
    generator = nn.Sequential(nn.Linear(6, 48, bias=False), nn.Unflatten(1, (3, 4, 4)))
    sgd = [torch.optim.SGD(network.parameters(), 1e-3) for network in (generator, discriminator)]
    real, z = torch.rand(4, 3, 4, 4), torch.randn(4, 6)
    fake, before = generator(z).detach(), [p.clone() for p in discriminator.parameters()]
    owed = discriminator_loss(loss, discriminator(real), discriminator(fake), 0.0)
    owed = owed + PENALTY_EVERY * r1 * discriminator.penalty(real)
    owed = owed + PENALTY_EVERY * r2 * discriminator.penalty(fake)
    expected = torch.autograd.grad(owed, list(discriminator.parameters()))
    step(
        Players(generator, discriminator, *sgd), real, z, settings,
        compute=device.choose("cpu", "float32"), random=torch.Generator(), penalise=True,
    )  # fmt: skip
    for now, then, gradient in zip(discriminator.parameters(), before, expected, strict=True):
        assert torch.allclose((then - now) / 1e-3, gradient, rtol=1e-3, atol=1e-3)
