"""What a job says when it is stopped before it has begun."""

import os
import re
import subprocess
import sys
from pathlib import Path

from project import ROOT

HEAVY = {"PIL", "cv2", "dlib", "matplotlib", "numpy", "pandas", "scipy", "torch"}


def start(code: str, *folders: Path) -> subprocess.CompletedProcess:
    """Run `code` in a Python that starts as a job's does; the user has `folders` in PYTHONPATH."""
    path = os.pathsep.join(map(str, [ROOT / "workflow", *folders]))
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_an_interrupt_before_the_stage_is_one_line():
    process = start("raise KeyboardInterrupt")
    assert process.returncode != 0
    assert process.stderr == "facefill: interrupted; run again to go on\n"


def test_other_errors_keep_their_traceback():
    assert "ZeroDivisionError" in start("1 / 0").stderr


def test_the_site_s_own_start_is_run_too(tmp_path):
    """Failed at 78c11f5: clusters that find packages in it lost them."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.site_s_own = 'run'\n")
    assert start("import sys; print(sys.site_s_own)", tmp_path).stdout == "run\n"
    shown = start("raise KeyboardInterrupt", tmp_path).stderr
    assert shown == "facefill: interrupted; run again to go on\n"


def test_what_the_snakefile_imports_is_light():
    """Each module alone, since a package that another one has loaded would hide the next."""
    rules = "".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    imports = re.findall(r"^(?:from facefill\S* import .+|import facefill.*)$", rules, re.MULTILINE)
    assert len(imports) >= 5
    for line in imports:
        shown = start(f"{line}\nimport sys\nprint(*{HEAVY} & sys.modules.keys())")
        assert shown.stdout == "\n", (line, shown.stdout, shown.stderr)


def test_the_default_configuration_is_checked_without_numpy():
    code = f"""
import sys, yaml
from pathlib import Path
from facefill.config import load
root = Path({str(ROOT)!r})
config = yaml.safe_load((root / "config.yaml").read_text())
load(config)
print(*{HEAVY} & sys.modules.keys())
"""
    shown = start(code)
    assert shown.stdout == "\n", (shown.stdout, shown.stderr)
