"""Signs of a GAN's training that went wrong, in plain words."""

import math

import pandas as pd


def health(history: list[dict[str, float]], loss: str, label_smoothing: float) -> list[str]:
    """Say what looks sick in the last fifth of the training; empty when nothing does.

    `history` are the rows of history.csv, `loss` and `label_smoothing` the model's settings.
    """
    last = pd.DataFrame(history).tail(max(1, len(history) // 5)).mean()
    warnings = []
    # What an undecided D pays is about half as much of these as of the others.
    margin = 0.05 if loss in ("lsgan", "rpgan") else 0.1
    further = {"hinge": "", "rpgan": ", r1 or r2"}.get(loss, " or label_smoothing")
    if last["d_loss"] < _least_loss(loss, label_smoothing) + margin:
        warnings.append(
            f"D's loss fell to {last['d_loss']:.3f}: D tells all fakes apart and G learns nothing "
            f"from it; lower discriminator_lr, raise generator_steps{further}"
        )
    if last["diversity"] < 0.4:
        warnings.append(
            f"samples differ only {100 * last['diversity']:.0f} % as much as real faces do: G has "
            "collapsed to few faces; train longer, lower the learning rates, or another seed"
        )
    if last["d_real"] - last["d_fake"] < 0.02 and (loss != "bce" or last["g_loss"] < 0.75):
        warnings.append(
            "D cannot tell real faces from samples at all: it learns nothing; raise "
            "discriminator_lr or discriminator_filters"
        )
    return warnings


def _least_loss(loss: str, label_smoothing: float) -> float:
    """The loss of a perfect D: with bce the entropy of the smoothed labels stays."""
    if loss != "bce":
        return 0.0
    shares = (label_smoothing, 1 - label_smoothing)
    return -sum(share * math.log(share) for share in shares if share)
