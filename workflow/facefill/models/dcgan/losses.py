"""Adversarial losses of a GAN, on D's logits: the larger, the more real.

Positive means real, but for `rpgan`, which knows differences alone: its logits have no zero.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REAL, FAKE = 1.0, 0.0


def discriminator_loss(loss: str, real: Tensor, fake: Tensor, label_smoothing: float) -> Tensor:
    """D's loss, the mean over logits [N] of real faces and of samples.

    `bce` is binary cross-entropy (Goodfellow et al. 2014), `hinge` that of Lim and Ye 2017
    (equation 5), `lsgan` least squares (Mao et al. 2017, equation 9). D's target for real faces is
    1 minus `label_smoothing` (not of hinge and rpgan, which have no targets). `rpgan` is the
    relativistic pairing loss of R3GAN (Huang et al. 2024, section 2): face and sample of the same
    number are a pair, and D maximises log sigmoid(D(face) - D(sample)).
    """
    real, fake = real.float(), fake.float()
    if loss == "rpgan":
        return _bce(real - fake, REAL)
    if loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    target = REAL - label_smoothing
    if loss == "lsgan":
        return ((real - target).square().mean() + fake.square().mean()) / 2
    return _bce(real, target) + _bce(fake, FAKE)


def generator_loss(loss: str, fake: Tensor, real: Tensor | None = None) -> Tensor:
    """G's loss, the mean over logits [N] of its samples; of bce and rpgan the non-saturating one.

    `real` are the logits of as many real faces, which only rpgan needs, for its pairs.
    """
    fake = fake.float()
    if loss == "rpgan":
        return _bce(fake - real.float(), REAL)
    if loss == "hinge":
        return -fake.mean()
    if loss == "lsgan":
        return (fake - REAL).square().mean() / 2
    return _bce(fake, REAL)


def verdict(loss: str, logits: Tensor, partners: Tensor | None = None) -> Tensor:
    """The mean probability of being real by D's logits [N]; lsgan's logits are probabilities.

    rpgan judges pairs alone: there it is the mean probability of being the real one of the two,
    given the logits of the `partners`. Verdicts on faces and on their partners add up to 1.
    """
    logits = logits.float()
    if loss == "rpgan":
        logits = logits - partners.float()
    return (logits.clamp(0, 1) if loss == "lsgan" else logits.sigmoid()).mean()


def gradient_penalty(discriminator: nn.Module, faces: Tensor) -> Tensor:
    """Half the squared norm of D's gradient at faces (Mescheder et al. 2018, equations 9 and 10).

    At real faces it is R1, at samples R2. `faces` are float32 [N, 3, size, size]; the mean over
    them.
    """
    faces = faces.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(faces).float().sum(), faces, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2


def _bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
