"""The middle is hidden (Amos 2016)."""

from facefill.kinds import declare, setting
from facefill.masks._rectangle import Rectangle, RectangleMask


@declare
class Center(RectangleMask):
    """Hides a square in the middle."""

    scale: float = setting(
        0.25,
        minimum=0,
        exclusiveMaximum=0.5,
        doc="the hole reaches from this share of rows and columns to 1 minus it",
    )

    def hole(self, size: int, zoom: float) -> Rectangle:
        low, high = int(size * self.scale), int(size * (1 - self.scale))
        return Rectangle(low, high, low, high)
