"""What a latent search minimises: the distance to the known pixels, and priors."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.complete import Task
from facefill.core.device import Compute
from facefill.core.tensors import to_unit
from facefill.methods.latent import Latent
from facefill.methods.latent.captured import Captured
from facefill.methods.latent.prediction import Prediction
from facefill.methods.latent.space import Space
from facefill.models.dcgan.trained import TrainedDcgan


@dataclass
class Evaluation:
    """Losses, float32 [N] each, at some search variables, and the gradient there."""

    loss: Tensor
    contextual: Tensor
    prior: Tensor  # NaN where its weight is 0: then it is not computed
    gradient: Tensor  # of the loss with respect to the search variable, of its shape
    faces: Tensor  # what G generates, [N, 3, size, size] in [-1, 1]


def contextual_weights(known: np.ndarray, window: int) -> np.ndarray:
    """Yeh et al. 2017, equation 3: how near the hole a known pixel is.

    `known` is bool [N, size, size]. Returns float32 of that shape: at a known pixel the share of
    missing pixels in the `window` squared pixels around it (fewer at the border), in the hole 0.
    Where nothing is hidden, or no known pixel has a hole within its window, all known pixels count
    alike: the equation would leave nothing to search for.
    """
    missing = torch.from_numpy(~known)[:, None].float()
    # Padding counts neither as pixel nor as missing.
    share = F.avg_pool2d(missing, window, 1, window // 2, count_include_pad=False)
    weights = share[:, 0].numpy() * known
    all_zero = ~weights.any(axis=(1, 2), keepdims=True)
    return np.where(all_zero, known, weights).astype(np.float32)


class Objective:
    """The loss of a search (Yeh et al. 2017, equations 3 to 6) for faces that are partly known.

    loss = sum W * |G(z) - y|^p + prior * L(D(G(z))) + z_prior * |z|^2 / 2; the sum goes over the
    pixels and channels of each face on its own, in units of [-1, 1]. p is 1 or 2 (norm l1 or l2).
    L is log(1 - D) ("minimax", Yeh) or -log D ("non_saturating", Amos). Where only block
    means are known, both G(z) and y are averaged over blocks first (Amos's lowres).

    The other terms are not Yeh's. z_prior is the negative log density of a normal prior, against
    over-fitting the known pixels. Where an encoder predicted z_0 and changes d_0 of G's feature
    map: anchor * |z - z_0|^2 / 2 + features_prior * |d - d_0|^2 / 2 (without predicted changes,
    d_0 is 0). With another completion t (`target`): target_weight * sum (1 - M) * |G(z) - t|.
    """

    def __init__(
        self,
        settings: Latent,
        task: Task,
        dcgan: TrainedDcgan,
        space: Space,
        prediction: Prediction | None,
    ):
        self.settings, self.space, self.prediction = settings, space, prediction
        self.generator, self.discriminator = dcgan.generator, dcgan.discriminator
        self.compute = compute = dcgan.compute
        known, self.block = task.masks.known, task.masks.block
        weights = known.astype(np.float32)
        if settings.contextual == "weighted" and not self.block:
            weights = contextual_weights(known, settings.window)
        self.observed = _on_device(task.observed, compute)
        target = task.targets.get("target")
        self.target = None if target is None else _on_device(target, compute)
        self.weights = torch.from_numpy(weights)[:, None].to(compute.device)
        self.known = torch.from_numpy(known)[:, None].to(compute.device)
        self._evaluate = Captured(self._at) if compute.device.type == "cuda" else self._at

    def at(self, variable: Tensor, faces: Tensor) -> Evaluation:
        """Evaluate rows of the search's space, for the faces with the numbers `faces`.

        The number of rows must be the same in every call: a GPU replays the first call.
        """
        return Evaluation(*self._evaluate(variable, faces))

    def _at(self, variable: Tensor, faces: Tensor) -> tuple[Tensor, ...]:
        settings = self.settings
        variable = variable.detach().requires_grad_()
        z, changes = self.space.z(variable), self.space.changes(variable)
        with self.compute.autocast():
            generated = self.generator(z, changes)
            logits = self.discriminator(generated) if settings.prior else None
        contextual = self._contextual(generated.float(), faces)
        loss = contextual + settings.z_prior * z.square().sum(1) / 2
        loss = loss + self._distance(z, changes, faces)
        if self.target is not None:
            distance = (generated.float() - to_unit(self.target[faces])).abs() * ~self.known[faces]
            loss = loss + settings.target_weight * distance.sum((1, 2, 3))
        prior = torch.full_like(loss, torch.nan)
        if logits is not None:
            prior = self._prior(logits.float())
            loss = loss + settings.prior * prior
        (gradient,) = torch.autograd.grad(loss.sum(), variable)
        return loss.detach(), contextual.detach(), prior.detach(), gradient, generated.detach()

    def unweighted(self, generated: Tensor, faces: Tensor) -> Tensor:
        """The mean absolute difference from what is known of each face, in units of [-1, 1].

        That is mean |M * (G - y)| over the known pixels and channels, or over the blocks' means,
        however the method weighs them: [N].
        """
        difference = generated.float() - to_unit(self.observed[faces])
        if self.block:
            return F.avg_pool2d(difference, self.block).abs().mean((1, 2, 3))
        known = self.known[faces]
        return (difference.abs() * known).sum((1, 2, 3)) / (3 * known.sum((1, 2, 3)))

    def _distance(self, z: Tensor, changes: Tensor | None, faces: Tensor) -> Tensor:
        """The penalty of the distance from the encoder's prediction, [N]."""
        penalty, predicted = torch.zeros(len(z), device=z.device), self.prediction
        if self.settings.anchor:
            distance = (z - predicted.z[faces]).square().sum(1)
            penalty = penalty + self.settings.anchor * distance / 2
        if changes is not None:
            if predicted is not None and predicted.changes is not None:
                changes = changes - predicted.changes[faces]
            distance = changes.square().sum((1, 2, 3))
            penalty = penalty + self.settings.features_prior * distance / 2
        return penalty

    def _contextual(self, generated: Tensor, faces: Tensor) -> Tensor:
        difference = generated - to_unit(self.observed[faces])
        if self.block:
            weighted = F.avg_pool2d(difference, self.block)
        else:
            weighted = self.weights[faces] * difference
        if self.settings.norm == "l1":
            return weighted.abs().sum((1, 2, 3))
        return (weighted * difference if not self.block else weighted.square()).sum((1, 2, 3))

    def _prior(self, logits: Tensor) -> Tensor:
        if self.settings.prior_loss == "minimax":
            return -F.softplus(logits)  # log(1 - sigmoid(logit))
        return F.softplus(-logits)  # -log(sigmoid(logit))


def _on_device(faces: np.ndarray, compute: Compute) -> Tensor:
    """uint8 [N, size, size, 3] -> [N, 3, size, size]."""
    return torch.from_numpy(faces).permute(0, 3, 1, 2).to(compute.device)
