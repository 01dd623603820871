"""What a latent search minimises: distance to the known pixels, and what speaks against z."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.methods.latent.captured import Captured
from facefill.methods.latent.prediction import Prediction
from facefill.methods.latent.space import Space
from facefill.core.device import Compute
from facefill.core.masking import Masks
from facefill.models.dcgan.networks import Discriminator, Generator
from facefill.core.tensors import to_unit


@dataclass
class Evaluation:
    """The losses of some z, [N] each and float32, and their way down."""

    loss: Tensor
    contextual: Tensor
    prior: Tensor  # NaN where its weight is 0: then it is not computed
    gradient: Tensor  # of the loss with respect to the search's variable, of its shape
    faces: Tensor  # what G makes, [N, 3, size, size] in [-1, 1]


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
    nothing = ~weights.any(axis=(1, 2), keepdims=True)
    return np.where(nothing, known, weights).astype(np.float32)


class Objective:
    """The loss of a search (Yeh et al. 2017, equations 3 to 6) for faces that are partly known.

    loss = sum W * |G(z) - y|^p + prior * L(D(G(z))) + z_prior * |z|^2 / 2; the sum goes over the
    pixels and channels of each face on its own, in units of [-1, 1]. p is 1 or 2 (norm l1 or l2).
    L is log(1 - D) ("minimax", Yeh) or -log D ("non_saturating", Amos). Where only block
    means are known, both G(z) and y are averaged over blocks first (Amos's lowres). The last term
    is ours: the negative log density of a normal prior, an anchor against over-fitting the
    known pixels. So are two more where an encoder predicted z_0 and changes d_0 of G's feature
    map: anchor * |z - z_0|^2 / 2 + features_prior * |d - d_0|^2 / 2 (without a prediction of
    changes, d_0 is 0). And one draws the hole to another completion t (`target`):
    target_weight * sum (1 - M) * |G(z) - t|.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        observed: np.ndarray,
        masks: Masks,
        settings: dict[str, Any],
        space: Space,
        prediction: Prediction | None,
        target: np.ndarray | None,
        compute: Compute,
    ):
        """`observed` is uint8 [N, size, size, 3], as `masks.observe` makes it; so is `target`."""
        self.generator, self.discriminator = generator, discriminator
        self.settings, self.space, self.compute = settings, space, compute
        self.prediction = prediction
        self.block = masks.block
        weights = masks.known.astype(np.float32)
        if settings["contextual"] == "weighted" and not masks.block:
            weights = contextual_weights(masks.known, settings["window"])
        self.observed = _on_device(observed, compute)
        self.target = None if target is None else _on_device(target, compute)
        self.weights = torch.from_numpy(weights)[:, None].to(compute.device)
        self.known = torch.from_numpy(masks.known)[:, None].to(compute.device)
        self.evaluate = Captured(self._at) if compute.device.type == "cuda" else self._at

    def at(self, variable: Tensor, faces: Tensor) -> Evaluation:
        """Evaluate rows of the search's space, for the faces with the numbers `faces`.

        Always as many rows: on a GPU this replays what it did the first time.
        """
        return Evaluation(*self.evaluate(variable, faces))

    def _at(self, variable: Tensor, faces: Tensor) -> tuple[Tensor, ...]:
        variable = variable.detach().requires_grad_()
        z, changes = self.space.z(variable), self.space.changes(variable)
        with self.compute.autocast():
            generated = self.generator(z, changes)
            logits = self.discriminator(generated) if self.settings["prior"] else None
        contextual = self._contextual(generated.float(), faces)
        loss = contextual + self.settings["z_prior"] * z.square().sum(1) / 2
        loss = loss + self._distance(z, changes, faces)
        if self.target is not None:
            distance = (generated.float() - to_unit(self.target[faces])).abs() * ~self.known[faces]
            loss = loss + self.settings["target_weight"] * distance.sum((1, 2, 3))
        prior = torch.full_like(loss, torch.nan)
        if logits is not None:
            prior = self._prior(logits.float())
            loss = loss + self.settings["prior"] * prior
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
        """What the distance from the encoder's prediction costs, [N]."""
        cost, predicted = torch.zeros(len(z), device=z.device), self.prediction
        if self.settings["anchor"]:
            cost = cost + self.settings["anchor"] * (z - predicted.z[faces]).square().sum(1) / 2
        if changes is not None:
            if predicted is not None and predicted.changes is not None:
                changes = changes - predicted.changes[faces]
            distance = changes.square().sum((1, 2, 3))
            cost = cost + self.settings["features_prior"] * distance / 2
        return cost

    def _contextual(self, generated: Tensor, faces: Tensor) -> Tensor:
        difference = generated - to_unit(self.observed[faces])
        if self.block:
            weighted = F.avg_pool2d(difference, self.block)
        else:
            weighted = self.weights[faces] * difference
        if self.settings["norm"] == "l1":
            return weighted.abs().sum((1, 2, 3))
        return (weighted * difference if not self.block else weighted.square()).sum((1, 2, 3))

    def _prior(self, logits: Tensor) -> Tensor:
        if self.settings["prior_loss"] == "minimax":
            return -F.softplus(logits)  # log(1 - sigmoid(logit))
        return F.softplus(-logits)  # -log(sigmoid(logit))


def _on_device(faces: np.ndarray, compute: Compute) -> Tensor:
    """uint8 [N, size, size, 3] -> [N, 3, size, size]."""
    return torch.from_numpy(faces).permute(0, 3, 1, 2).to(compute.device)
