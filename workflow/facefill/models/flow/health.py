"""Signs of a flow's training that went wrong, in plain words."""

import pandas as pd


def health(history: pd.DataFrame) -> list[str]:
    """Say what looks sick of the epoch that is kept; empty when nothing does.

    `history` are the rows of history.csv.
    """
    kept, warnings = history[history["kept"] == 1].iloc[0], []
    if kept["val_hole_psnr"] < kept["val_normal_psnr"]:
        warnings.append(
            f"its means of validation faces ({kept['val_hole_psnr']:.2f} dB) are worse than the "
            f"normal's guess ({kept['val_normal_psnr']:.2f} dB): it has learnt the training faces "
            "by heart, or nothing; train fewer epochs with more photos, or more epochs, or lower lr"
        )
    if (kept["val_detectability"] or 0) > 0.99:
        warnings.append(
            f"{100 * kept['val_detectability']:.0f} % of its samples are told from true faces by "
            "their texture; longer training makes these better, and means do not depend on it"
        )
    return warnings
