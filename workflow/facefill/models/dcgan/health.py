"""Signs of a training that went wrong, in plain words."""

import math

import pandas as pd


def health(history: list[dict[str, float]], loss: str, label_smoothing: float) -> list[str]:
    """Say what looks sick in the last fifth of a GAN's training; empty when nothing.

    `history` are rows of history.csv; `loss` and `label_smoothing` are the model's settings.
    """
    last = pd.DataFrame(history).tail(max(1, len(history) // 5)).mean()
    warnings = []
    smoothing = "" if loss == "hinge" else " or label_smoothing"
    if last["d_loss"] < _least(loss, label_smoothing) + 0.1 * (0.5 if loss == "lsgan" else 1):
        warnings.append(
            f"D's loss fell to {last['d_loss']:.3f}: D tells all fakes apart and G learns nothing "
            f"from it; lower discriminator_lr, raise generator_steps{smoothing}"
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


def completion_health(history: pd.DataFrame) -> list[str]:
    """Say what looks sick of the discriminators in the last fifth of a joint training.

    `history` are the rows of a completion network's history.csv; without joint epochs nothing is.
    """
    joint = history[history["phase"] == history["phase"].max()].dropna(subset=["g_loss"])
    if joint.empty:
        return []
    last = joint.tail(max(1, len(joint) // 5)).mean()
    if last["d_loss"] < 0.05 or last["d_accuracy"] > 0.99:
        return [
            f"D has won: its loss fell to {last['d_loss']:.3f}, and it tells "
            f"{100 * last['d_accuracy']:.0f} % of validation faces and completions apart, so that "
            "the completions learn nothing from it; lower discriminator_lr or discriminator_width, "
            "set spectral_norm: true, or raise alpha"
        ]
    if last["d_accuracy"] < 0.53:
        return [
            f"D tells only {100 * last['d_accuracy']:.0f} % of validation faces and completions "
            "apart, where guessing gives 50 %: unless the completions look real to you, too, it "
            "learns nothing; raise discriminator_lr, discriminator_width or discriminator_epochs"
        ]
    return []


def _least(loss: str, label_smoothing: float) -> float:
    """The loss of a perfect D: with bce it still pays the entropy of its smoothed labels."""
    if loss != "bce":
        return 0.0
    shares = (label_smoothing, 1 - label_smoothing)
    return -sum(share * math.log(share) for share in shares if share)
