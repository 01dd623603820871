"""Total variation: the completion with the least sum of gradients (Shen and Chan 2002)."""

from typing import ClassVar

from facefill.kinds import Config, declare, setting
from facefill.methods import Method


@declare
class Tv(Method):
    """Minimises the total variation of the hole."""

    iterations: int = setting(
        400, "of Chambolle and Pock's algorithm (2011); larger faces need more", minimum=1
    )

    example: ClassVar[Config] = {"iterations": 60}

    def fill(self, faces, known):
        from facefill.methods.tv.fill import minimise_variation

        return minimise_variation(faces, known, self.iterations)
