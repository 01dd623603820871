"""A half of the face is hidden (Amos's `left`, Yeh's half)."""

from typing import Literal

from facefill.kinds import declare, setting
from facefill.masks._rectangle import Rectangle, RectangleMask


@declare
class Half(RectangleMask):
    """Hides the left, right, upper or lower half."""

    side: Literal["left", "right", "top", "bottom"] = setting("left", "which half is hidden")

    def hole(self, size, zoom):
        middle = size // 2
        return {
            "left": Rectangle(0, size, 0, middle),
            "right": Rectangle(0, size, middle, size),
            "top": Rectangle(0, middle, 0, size),
            "bottom": Rectangle(middle, size, 0, size),
        }[self.side]
