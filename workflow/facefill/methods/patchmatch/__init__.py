"""Completion by example: patches of the rest of the face (Wexler 2007, Barnes 2009)."""

from typing import ClassVar

from facefill.kinds import Config, declare, setting
from facefill.methods import Method


@declare
class Patchmatch(Method):
    """Puts the hole together from patches of the rest of the face."""

    patch: int = setting(7, "side of the patches in pixels", minimum=3, maximum=9)
    iterations: int = setting(6, "of search and vote at every scale", minimum=1)
    seed: int = setting(0, "of the random search, the same for every face", minimum=0)

    example: ClassVar[Config] = {"patch": 5, "iterations": 2}

    def fill(self, faces, known):
        from facefill.methods.patchmatch.fill import fill_by_patches

        return fill_by_patches(faces, known, self)
