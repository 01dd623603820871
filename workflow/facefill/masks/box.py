"""Rectangles anywhere in the face are hidden (as GLCIC 2017)."""

from facefill.core.errors import FacefillError
from facefill.kinds import declare, setting
from facefill.masks._random import RandomMask


@declare
class Box(RandomMask):
    """Hides rectangles, sides between `min` and `max`."""

    boxes: int = setting(1, "boxes per face; they may overlap", minimum=1, maximum=100)
    min: float = setting(0.25, "a box's shortest side as a share of the face's", above=0, below=1)
    max: float = setting(0.5, "a box's longest side as a share of the face's", above=0, below=1)

    def check_size(self, size):
        if self.min > self.max:
            raise FacefillError(
                f"min is {self.min}, expected at most max ({self.max}); lower it or raise max"
            )

    def known(self, name, size, zoom):
        import numpy as np

        generator = self.generator(name)
        known = np.ones((size, size), bool)
        for _ in range(self.boxes):
            sides = np.rint(generator.uniform(self.min, self.max, 2) * size).astype(int)
            sides = sides.clip(1, size - 1)
            top, left = (generator.random(2) * (size - sides + 1)).astype(int)
            with_box = known.copy()
            with_box[top : top + sides[0], left : left + sides[1]] = False
            if with_box.any():  # many large boxes together could hide everything
                known = with_box
        return known
