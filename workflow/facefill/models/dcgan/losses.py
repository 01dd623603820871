"""Adversarial losses of a GAN, on D's logits: positive means real."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REAL, FAKE = 1.0, 0.0


def discriminator_loss(loss: str, real: Tensor, fake: Tensor, label_smoothing: float) -> Tensor:
    """D's loss, the mean over logits [N] of real faces and of samples.

    `bce` is binary cross-entropy (Goodfellow et al. 2014), `hinge` that of Lim and Ye 2017
    (equation 5), `lsgan` least squares (Mao et al. 2017, equation 9). D's target for real faces is
    1 minus `label_smoothing` (not of hinge, which has no targets).
    """
    real, fake = real.float(), fake.float()
    if loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    target = REAL - label_smoothing
    if loss == "lsgan":
        return ((real - target).square().mean() + fake.square().mean()) / 2
    return _bce(real, target) + _bce(fake, FAKE)


def generator_loss(loss: str, fake: Tensor) -> Tensor:
    """G's loss, the mean over logits [N] of its samples; of bce the non-saturating one."""
    fake = fake.float()
    if loss == "hinge":
        return -fake.mean()
    if loss == "lsgan":
        return (fake - REAL).square().mean() / 2
    return _bce(fake, REAL)


def verdict(loss: str, logits: Tensor) -> Tensor:
    """The mean probability of being real by D's logits [N]; lsgan's logits are probabilities."""
    logits = logits.float()
    return (logits.clamp(0, 1) if loss == "lsgan" else logits.sigmoid()).mean()


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """Half the squared norm of D's gradient at real faces (Mescheder et al. 2018, equation 9).

    `real` is float32 [N, 3, size, size]; the mean over the faces.
    """
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).float().sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2


def _bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
