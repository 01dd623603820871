"""Fast marching (Telea 2004, "An image inpainting technique"), as OpenCV has it."""

from facefill.kinds import declare
from facefill.methods._opencv import OpenCv


@declare
class Telea(OpenCv):
    """Fills from the hole's edge inwards, each pixel from the known ones near it."""

    algorithm = "INPAINT_TELEA"
