"""Bundles: one file with what completes faces without training, in which nothing can execute.

A bundle is a ZIP of stored members under constant dates. `bundle.json` says what made it, and has
the size and the SHA-256 of every other member:

    format, facefill   the number of this format, and the version of facefill that wrote it
    dataset, data      the data set that was trained on, its kind and where it comes from
    align              the settings of the alignment, without `shards`; of a landmark model of the
                       user's own the SHA-256
    splits             by name: how many faces, and of how many people
    methods, models    the settings of the compared methods with their targets, and of the models
                       that these need
    halving            how it was decided which weights have half precision, and by model what came
                       of it
    members            bytes and sha256 by name
"""

import re

FORMAT = 1
CONTENTS = "bundle.json"
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"  # as in the configuration
WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"
KIBI = 1024
LARGEST_BUNDLE = 4 * KIBI**3  # bytes
# Members by the end of their names, and how many bytes they may have. Nothing else is read.
OF_A_MODEL = {
    WEIGHTS: 2 * KIBI**3,
    SETTINGS: KIBI**2,
    "history.csv": 16 * KIBI**2,
    "losses.png": 16 * KIBI**2,
    "samples.png": 16 * KIBI**2,
    "samples.gif": 16 * KIBI**2,
}
OF_ALL = {
    CONTENTS: KIBI**2,
    "CARD.md": KIBI**2,
    "LICENSE": KIBI**2,
    "mean.png": 16 * KIBI**2,
    "photos.sha256": 256 * KIBI**2,
}


def largest(member: str) -> int | None:
    """How many bytes a member may have; None for a name that no bundle has."""
    model = re.fullmatch(rf"models/{MODEL_NAME}/([a-z]+\.[a-z]+)", member)
    return OF_A_MODEL.get(model[1]) if model else OF_ALL.get(member)


def of_model(model: str, file: str) -> str:
    """The name of a model's member."""
    return f"models/{model}/{file}"
