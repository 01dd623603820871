"""Fluid dynamics (Bertalmio, Bertozzi and Sapiro 2001), as OpenCV has it.

The paper lets isophotes flow into the hole as a fluid would. OpenCV keeps the idea and not the
equation: it marches inwards as for Telea, and weighs a known neighbour by how well the isophote
there points at the pixel.
"""

from facefill.kinds import declare
from facefill.methods._opencv import OpenCv


@declare
class NavierStokes(OpenCv):
    """Fills from the hole's edge inwards, along isophotes."""

    algorithm = "INPAINT_NS"
