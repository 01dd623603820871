"""Signs of a flow's training that went wrong, in plain words."""

import pandas as pd


def health(history: pd.DataFrame) -> list[str]:
    """Say what looks sick at the end; `history` are the rows of history.csv. Empty when nothing."""
    last, warnings = history.iloc[-1], []
    if last["val_hole_psnr"] < last["val_normal_psnr"]:
        warnings.append(
            f"its means of validation faces ({last['val_hole_psnr']:.2f} dB) are worse than the "
            f"normal's guess ({last['val_normal_psnr']:.2f} dB): it has learnt the training faces "
            "by heart, or nothing; train fewer epochs with more photos, or more epochs, or lower lr"
        )
    if (last["val_detectability"] or 0) > 0.99:
        warnings.append(
            f"{100 * last['val_detectability']:.0f} % of its samples are told from true faces by "
            "their texture; longer training makes these better, and means do not depend on it"
        )
    return warnings
