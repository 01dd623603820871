"""What a latent search minimises: distance to the known pixels, and what speaks against z."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facefill.complete.bounds import Bounds
from facefill.device import Compute
from facefill.masks import Masks
from facefill.train.networks import Discriminator, Generator, to_unit


@dataclass
class Evaluation:
    """The losses of some z, [N] each and float32, and their way down."""

    loss: Tensor
    contextual: Tensor
    prior: Tensor  # NaN where its weight is 0: then it is not computed
    gradient: Tensor  # of the loss with respect to the search's variable, [N, z_dim]
    faces: Tensor  # G(z), [N, 3, size, size] in [-1, 1]


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
    known pixels.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        observed: np.ndarray,
        masks: Masks,
        settings: dict[str, Any],
        bounds: Bounds,
        compute: Compute,
    ):
        """`observed` is uint8 [N, size, size, 3], as `masks.observe` makes it."""
        self.generator, self.discriminator = generator, discriminator
        self.settings, self.bounds, self.compute = settings, bounds, compute
        self.block = masks.block
        weights = masks.known.astype(np.float32)
        if settings["contextual"] == "weighted" and not masks.block:
            weights = contextual_weights(masks.known, settings["window"])
        self.observed = torch.from_numpy(observed).permute(0, 3, 1, 2).to(compute.device)
        self.weights = torch.from_numpy(weights)[:, None].to(compute.device)

    def at(self, variable: Tensor, faces: Tensor) -> Evaluation:
        """Evaluate the search's variable, [N, z_dim], of the faces with the numbers `faces`."""
        variable = variable.detach().requires_grad_()
        z = self.bounds.z(variable)
        with self.compute.autocast():
            generated = self.generator(z)
            logits = self.discriminator(generated) if self.settings["prior"] else None
        contextual = self._contextual(generated.float(), faces)
        loss = contextual + self.settings["z_prior"] * z.square().sum(1) / 2
        prior = torch.full_like(loss, torch.nan)
        if logits is not None:
            prior = self._prior(logits.float())
            loss = loss + self.settings["prior"] * prior
        (gradient,) = torch.autograd.grad(loss.sum(), variable)
        return Evaluation(
            loss.detach(), contextual.detach(), prior.detach(), gradient, generated.detach()
        )

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
