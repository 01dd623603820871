"""What goes wrong ends with one line that names the thing and the remedy, and no traceback.

Hostile input has tests of its own, in tests/hostile.
"""

import pytest

from project import Project, mistake, names, three_photos

pytestmark = pytest.mark.slow


def test_a_bug_of_ours_is_one_line_too(tmp_path):
    """An error nobody foresaw names the rule and the log, which has the traceback."""
    photos = three_photos(Project.new(tmp_path / "project"))
    bug = r'raise ValueError("name: \udcff")'  # as Python spells a file name that is not UTF-8
    script = "workflow/scripts/index.py"
    photos.edit(script, "params = snakemake.params", f"params = snakemake.params\n    {bug}")
    line = mistake(photos, "--until", "index")
    names(line, r"ValueError in rule index: name: \udcff", "see results/logs/mine/index.log")
    log = (photos.folder / "results/logs/mine/index.log").read_text()
    assert line.removeprefix("facefill: ") in log
    assert "Traceback (most recent call last)" in log and bug in log
