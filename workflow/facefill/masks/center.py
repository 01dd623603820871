"""The middle is hidden (Amos 2016)."""

from facefill.kinds import declare, setting
from facefill.masks._rectangle import Rectangle, RectangleMask


@declare
class Center(RectangleMask):
    """Hides a square in the middle."""

    scale: float = setting(0.25, "margin of the hole as a share of a side", minimum=0, below=0.5)

    def hole(self, size, zoom):
        low, high = int(size * self.scale), int(size * (1 - self.scale))
        return Rectangle(low, high, low, high)
