"""matplotlib with its own defaults: a figure's bytes depend on nothing of the user's.

Everything that draws imports matplotlib by this module. Its own folder is the first place where it
looks for a matplotlibrc, before the user's.
"""

import contextlib
import os
from importlib.util import find_spec
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"  # Jupyter's exists only inside Jupyter
with contextlib.chdir(Path(find_spec("matplotlib").submodule_search_locations[0], "mpl-data")):
    import matplotlib
    from matplotlib import pyplot
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullFormatter
matplotlib.rcdefaults()  # it may have been imported before

FONT = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")  # the same on every machine

__all__ = ["FONT", "Figure", "Line2D", "LogLocator", "NullFormatter", "pyplot"]
