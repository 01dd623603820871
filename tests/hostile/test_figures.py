"""Figures do not depend on the user's matplotlib. All failed at 78c11f5."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from project import ROOT

DRAW = """
import sys
from pathlib import Path
import pandas as pd
from facefill.models import Plot
from facefill.train.pictures import write_plots

history = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]})
write_plots(Path(sys.argv[1]), history, [Plot("a title", {"loss": "G"}), Plot("b", {"loss": ""})])
"""
OWN = {
    "another resolution": "savefig.dpi: 200\nfigure.facecolor: pink\n",
    "LaTeX, which is not installed": "text.usetex: True\n",
    "a backend that is not installed": "backend: module://matplotlib_inline.backend_inline\n",
    "not text": "font.size: 7\n\xff\xfe".encode("latin-1"),
}


def drawn(folder: Path, **environment: str) -> bytes:
    command = [sys.executable, "-c", DRAW, "plot.png"]
    paths = {"PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        command, cwd=folder, env=os.environ | paths | environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return (folder / "plot.png").read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> bytes:
    return drawn(tmp_path_factory.mktemp("plain"))


FOUND = [("in the folder", case) for case in OWN]
FOUND += [(place, "not text") for place in ("named by MATPLOTLIBRC", "in the home folder")]


@pytest.mark.parametrize(("place", "case"), FOUND)
def test_a_matplotlibrc_of_the_user_s(plain, tmp_path, place, case, told):
    (tmp_path / ".config/matplotlib").mkdir(parents=True)
    folder = {"in the folder": tmp_path, "in the home folder": tmp_path / ".config/matplotlib"}
    file = folder.get(place, tmp_path / ".config") / "matplotlibrc"
    content = OWN[case]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    named = {"MATPLOTLIBRC": str(file)} if place.startswith("named") else {}
    home = {"MPLCONFIGDIR": str(tmp_path / ".config/matplotlib")}  # as ~/.config, with its fonts
    assert drawn(tmp_path, **(home if place == "in the home folder" else {}), **named) == plain
    told("environment", f"a matplotlibrc {place}: {case}", "(as ever)")


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg"])
def test_a_backend_of_jupyter_s(plain, tmp_path, backend, told):
    assert drawn(tmp_path, MPLBACKEND=backend) == plain
    told("environment", "MPLBACKEND and the like, as in Jupyter", "(as ever)")
