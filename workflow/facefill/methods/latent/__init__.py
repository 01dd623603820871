"""Search for the z whose generated face continues the known pixels (Yeh et al. 2017)."""

import math
from dataclasses import replace
from typing import ClassVar, Literal

from facefill.core.errors import FacefillError
from facefill.kinds import Config, declare, kind_of, make, reference, setting
from facefill.methods import BATCH, Blend, Method
from facefill.models import FORWARD_AND_BACKWARD
from facefill.models._pyramid import check_feature_side


@declare
class Latent(Method):
    """Searches the input of a generator for every face."""

    model: str = reference("models", "generator", doc="which of `models` generates")
    steps: int = setting(200, "optimiser steps on z; of hmc trajectories", minimum=1)
    optimizer: Literal["adam", "momentum", "hmc"] = setting(
        "adam", "Adam, Nesterov's momentum (Amos's text) or Hamiltonian Monte Carlo"
    )
    lr: float = setting(0.05, "learning rate of adam and momentum, at its peak", above=0)
    schedule: Literal["constant", "cosine"] = setting(
        "cosine", "the rate stays, or is warmed up and then decayed along a cosine"
    )
    beta1: float = setting(0.9, "adam's decay of the mean gradient", minimum=0, below=1)
    beta2: float = setting(0.999, "adam's decay of the mean squared gradient", minimum=0, below=1)
    epsilon: float = setting(1.0e-8, "keeps adam from dividing by 0", above=0)
    momentum: float = setting(0.9, "share of its velocity kept per step", minimum=0, below=1)
    contextual: Literal["weighted", "plain"] = setting(
        "weighted", "loss on known pixels, weighted by Yeh's window or all alike"
    )
    window: int = setting(7, "side of Yeh's window in pixels; odd", minimum=3, maximum=63)
    norm: Literal["l1", "l2"] = setting("l1", "contextual loss by absolute or squared differences")
    prior: float = setting(
        0.003, "weight of the prior loss, D's verdict; 0 = D is not asked", minimum=0
    )
    prior_loss: Literal["minimax", "non_saturating"] = setting(
        "minimax", "log(1 - D(G(z))) as Yeh, or -log D(G(z)) as Amos"
    )
    z_prior: float = setting(
        0, "weight of half of |z| squared, against z that a normal prior finds unlikely", minimum=0
    )
    encoder: str | None = reference(
        "models", "encoder", None, doc="which of `models`, of kind encoder, predicts z; null = none"
    )
    anchor: float = setting(
        0, "weight of half the squared distance of z from the encoder's prediction", minimum=0
    )
    features: int = setting(0, "side of G's feature map searched beside z; 0 = z alone", minimum=0)
    features_prior: float = setting(
        1, "weight of half the squared distance of its changes from the encoder's", minimum=0
    )
    target: str | None = reference(
        "methods",
        "",
        None,
        doc="a method, not of kind latent, that draws the hole to its completions; null = none",
    )
    target_weight: float = setting(0, "weight of the hole's L1 distance from those", minimum=0)
    bounds: Literal["auto", "none", "clip", "stochastic_clip", "tanh"] = setting(
        "auto", "how z stays in the prior's cube; auto = clip where it is uniform, else none"
    )
    start: Literal["random", "mean", "encoder"] = setting(
        "random",
        "the first z: drawn from the prior, its mean, or the encoder's (others are around it)",
    )
    restarts: int = setting(
        1, "searches per face; the worse half is given up again and again", minimum=1, maximum=64
    )
    samples: int = setting(1, "completions per face; the first is measured", minimum=1, maximum=64)
    patience: int = setting(
        0, "steps without 0.1 % of progress that end a search; 0 = never", minimum=0
    )
    keep: Literal["best", "last"] = setting("best", "which z completes: of least loss or the last")
    picture_every: int = setting(10, "steps between the pictures of progress.gif", minimum=1)
    blend: Blend = setting(
        "poisson", "how it is laid into the hole: exact Poisson, as it is, or seamlessClone"
    )
    hmc_beta: float = setting(0.2, "hmc's inverse temperature", above=0)
    hmc_epsilon: float = setting(0.001, "length of hmc's leapfrog steps", above=0)
    hmc_leapfrog: int = setting(100, "leapfrog steps of a trajectory", minimum=1)
    hmc_anneal: float = setting(1, "factor of hmc_beta after each trajectory", above=0, maximum=1.1)

    extra = ("progress", "search", "z", "samples", "interpolation")
    example: ClassVar[Config] = {"model": "model", "steps": 12, "hmc_leapfrog": 3}

    def complete(self, task):
        import numpy as np

        from facefill.core.blend import blend
        from facefill.methods._walk import blend_frames
        from facefill.methods.latent.search import search

        found, known = search(self, task, task.watched), task.masks.known
        samples = found.samples.swapaxes(0, 1)  # in the order of the faces, several times
        blended = [blend(self.blend, task.observed, known, faces) for faces in samples]
        samples = np.stack(blended, axis=1)
        walk = blend_frames(self.blend, task, found.interpolation)
        return replace(found, faces=samples[:, 0], samples=samples, interpolation=walk)

    def work(self, config):
        model, size = make("models", config["models"][self.model]), config["align"]["size"]
        judged = model.discriminator_work(size) if self.prior else 0
        return FORWARD_AND_BACKWARD * BATCH * (model.generator_work(size) + judged)

    def check(self, key, config):
        if self.window % 2 == 0:
            raise FacefillError(
                f"config: {key}.window is {self.window}, expected an odd number of pixels so that "
                "the window has a middle"
            )
        searches = self.restarts * self.samples
        if self.start == "mean" and searches > 1 and self.optimizer != "hmc":
            raise FacefillError(
                f"config: {key}.start is 'mean', so that its {searches} searches per face would be "
                "one and the same; set start to random, or restarts and samples to 1"
            )
        halvings = math.ceil(math.log2(self.restarts))
        if halvings >= self.steps:
            raise FacefillError(
                f"config: {key}.restarts is {self.restarts}, too many to be halved {halvings} "
                f"times within {self.steps} steps; lower it or raise steps"
            )
        no_logits = {"lsgan": "verdicts are no logits", "rpgan": "logits have no zero"}
        loss = config["models"][self.model].get("loss")
        if self.prior and loss in no_logits:
            raise FacefillError(
                f"config: {key}.prior is {self.prior}, but the model {self.model!r} was trained "
                f"with the loss {loss}, whose {no_logits[loss]}; set prior to 0"
            )
        self._check_target(key, config)
        self._check_encoder(key, config)

    def _check_target(self, key: str, config: Config) -> None:
        if (self.target is None) != (self.target_weight == 0):
            raise FacefillError(
                f"config: {key}.target_weight is {self.target_weight}, but {key}.target is "
                f"{self.target!r}; set both, or target to null and the weight to 0"
            )
        if self.target and "search" in kind_of("methods", config["methods"][self.target]).extra:
            raise FacefillError(
                f"config: {key}.target is {self.target!r}, which searches itself; name a method of "
                "another kind"
            )

    def _check_encoder(self, key: str, config: Config) -> None:
        """Refuse settings that need an encoder, without one, and an encoder that has no effect."""
        if self.encoder is None:
            needed = {"start": self.start == "encoder", "anchor": self.anchor != 0}
            for name, instead in (("start", "random"), ("anchor", 0)):
                if needed[name]:
                    raise FacefillError(
                        f"config: {key}.{name} is {getattr(self, name)!r}, but the method has no "
                        f"encoder; name one under {key}.encoder, or set {name} to {instead}"
                    )
            return
        predicts_features = config["models"][self.encoder]["features"]
        if self.start != "encoder" and not self.anchor and not predicts_features:
            raise FacefillError(
                f"config: {key}.encoder is {self.encoder!r}, but the search neither starts at its "
                "prediction nor is held near it; set start to encoder, anchor above 0, or encoder "
                "to null"
            )

    def check_used(self, key, config):
        super().check_used(key, config)
        check_feature_side(f"{key}.features", self.features, config["align"]["size"])
        self._check_target_used(key, config)
        if self.encoder is not None:
            self._check_encoder_used(key, config["models"][self.encoder])

    def _check_target_used(self, key: str, config: Config) -> None:
        """Refuse a target whose method lacks faces or masks of this one."""
        if self.target is None:
            return
        name, compare = key.partition(".")[2], config["compare"]
        target = config["methods"][self.target]
        faces, target_faces = (n or compare["faces"] for n in (self.faces, target["faces"]))
        if faces > target_faces:
            raise FacefillError(
                f"config: {key}.target is {self.target!r}, which completes {target_faces} faces, "
                f"but {name} completes {faces}; set methods.{self.target}.faces to that"
            )
        masks, target_masks = (m or compare["masks"] for m in (self.masks, target["masks"]))
        lacking = [mask for mask in masks if mask in compare["masks"] and mask not in target_masks]
        if lacking:
            raise FacefillError(
                f"config: methods.{self.target}.masks lacks {lacking[0]!r}, under which {name} "
                "completes, whose target it is; add it"
            )

    def _check_encoder_used(self, key: str, encoder: Config) -> None:
        """Refuse an encoder that predicts for another model, or another feature map."""
        if encoder["generator"] != self.model:
            raise FacefillError(
                f"config: {key}.encoder is {self.encoder!r}, which predicts for the model "
                f"{encoder['generator']!r}, not for {self.model!r}; name another one"
            )
        if encoder["features"] not in (0, self.features):
            raise FacefillError(
                f"config: {key}.features is {self.features}, but its encoder predicts the map of "
                f"side {encoder['features']}; set it to that"
            )
