"""Multiply-accumulates of one step of the networks, estimated from settings, to choose threads.

`size` is the side of the faces, settings are those of the configuration. A gradient costs twice
what a forward pass does.
"""

from typing import Any

STEP = 3  # forward and backward, in units of forward
SEARCH_BATCH = 64  # of complete/latent.py and complete/feedforward.py
# Of GLCIC's published networks (Iizuka et al. 2017, tables 1 to 3), per pixel of a face.
COMPLETION_NETWORK = 500e3
DISCRIMINATOR = 50e3


def of_training(settings: dict[str, Any], models: dict[str, Any], size: int) -> float:
    """A training step of a model; `models` are all of the configuration."""
    if settings["kind"] == "glcic":
        discriminators = 3 * DISCRIMINATOR * settings["discriminator_width"] ** 2
        forward = (_glcic(settings) + discriminators) * size**2
    elif settings["kind"] == "encoder":
        generator = models[settings["generator"]]
        forward = _generator(generator, size) + 2 * _discriminator(generator, size)
        forward += 2 * _pyramid(settings["filters"], 4, size)  # down, and up again
    else:
        again = settings["generator_steps"]
        forward = again * _generator(settings, size) + (2 + again) * _discriminator(settings, size)
    return STEP * settings["batch"] * forward


def of_completion(settings: dict[str, Any], models: dict[str, Any], size: int) -> float:
    """A step of a method that has a model: of a search, or the only one of a completion network."""
    model = models[settings["model"]]
    if settings["kind"] == "feedforward":
        return SEARCH_BATCH * _glcic(model) * size**2
    judged = _discriminator(model, size) if settings["prior"] else 0
    return STEP * SEARCH_BATCH * (_generator(model, size) + judged)


def _generator(settings: dict[str, Any], size: int) -> float:
    return _pyramid(settings["generator_filters"], settings["kernel"], size)


def _discriminator(settings: dict[str, Any], size: int) -> float:
    return _pyramid(settings["discriminator_filters"], settings["kernel"], size)


def _pyramid(filters: int, kernel: int, size: int) -> float:
    """Convolutions that halve or double the side, between 4 and `size`, and the one at RGB."""
    layers = (size // 8).bit_length() - 1
    return kernel**2 * size**2 * (layers * filters**2 / 8 + 3 * filters / 4)


def _glcic(settings: dict[str, Any]) -> float:
    return COMPLETION_NETWORK * settings["width"] ** 2
