"""Signs of an adversarial training of a completion network that went wrong, in plain words."""

import pandas as pd


def health(history: pd.DataFrame) -> list[str]:
    """Say what looks sick of the discriminators in the last fifth of the joint training.

    `history` are the rows of history.csv. Empty when nothing does, or without joint epochs.
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
