"""The digest of code: what counts and what does not."""

import json
import os
import time

import pytest

from facefill.core.code import Code

FILES = {
    "scripts/run.py": "from facefill_stage import stage\n\nwith stage(snakemake):\n"
    "    from lib.a import used\n\n    used()\n",
    "scripts/facefill_stage.py": "x = 1\n",
    "lib/__init__.py": "",
    "lib/a.py": """
import logging

from lib import b
from lib.c import LIMIT as limit
from lib.errors import Problem

log = logging.getLogger(__name__)


def used(value: int = 1) -> int:
    '''Say what it does.'''
    # A comment.
    log.info("half way")
    if value > limit:
        raise Problem(f"too large: {value}")
    return b.helper(value)


def unused():
    return 0
""",
    "lib/b.py": "def helper(value):\n    from .deep.d import inner\n\n    return inner(value)\n"
    "\n\ndef other():\n    return 1\n",
    "lib/c.py": "LIMIT = 3\nELSE = 4\n",
    "lib/errors.py": "class Problem(Exception):\n    pass\n",
    "lib/deep/__init__.py": "",
    "lib/deep/d.py": "class Base:\n    rate = 2\n\n\ndef inner(value):\n"
    "    return Base.rate * value\n",
    "lib/kind.py": "class Kind:\n    heading = 'a'\n    captions = {}\n"
    "    size: int = setting(1, 'text')\n\n    def check(self):\n        pass\n\n"
    "    def fill(self):\n        return self.size\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest(tree, *modules, **options) -> str:
    return Code([tree / "scripts", tree]).digest(modules or ["run"], **options)


def changes(tree, file, old, new, *modules, **options) -> bool:
    """Whether a change of a file changes the digest."""
    before = digest(tree, *modules, **options)
    text = (tree / file).read_text()
    assert text.count(old) == 1
    (tree / file).write_text(text.replace(old, new))
    return digest(tree, *modules, **options) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scripts/run.py", "    used()", "    used(2)"),
        ("lib/a.py", "value > limit", "value >= limit"),
        ("lib/a.py", "value: int = 1", "value: int = 2"),
        ("lib/a.py", "b.helper(value)", "b.other()"),
        ("lib/b.py", "inner(value)", "inner(-value)"),
        ("lib/c.py", "LIMIT = 3", "LIMIT = 5"),
        ("lib/deep/d.py", "rate = 2", "rate = 3"),
        ("lib/deep/d.py", "return Base", "return -Base"),
        ("lib/deep/__init__.py", "", "import os\nos.nice(1)\n"),
    ],
)
def test_what_a_script_uses_counts(tree, file, old, new):
    if not old:
        before = digest(tree)
        (tree / file).write_text(new)
        assert digest(tree) == before  # a package is no more than what is used of it
        return
    assert changes(tree, file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lib/a.py", "Say what it does.", "Say it in other words."),
        ("lib/a.py", "# A comment.", "# Another one."),
        ("lib/a.py", "half way", "nearly there"),
        ("lib/a.py", "too large: {value}", "{value} is too large"),
        ("lib/a.py", "    return b.helper", "\n\n    return b.helper"),
        ("lib/a.py", "(value: int = 1) -> int", "(value = 1)"),
        ("lib/a.py", "return 0", "return 1"),
        ("lib/a.py", "    log.info", "    print('new')\n    log.info"),
        ("lib/b.py", "return 1", "return 2"),
        ("lib/c.py", "ELSE = 4", "ELSE = 5"),
        ("scripts/facefill_stage.py", "x = 1", "x = 2"),
    ],
)
def test_words_and_what_is_not_used_do_not_count(tree, file, old, new):
    assert not changes(tree, file, old, new)


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("'text'", "'other text'", False),
        ("captions = {}", "captions = {1: 2}", False),
        ("heading = 'a'", "heading = 'b'", False),
        ("        pass", "        raise ValueError", False),
        ("setting(1", "setting(2", True),
        ("return self.size", "return -self.size", True),
    ],
)
def test_of_a_kind_only_what_it_computes_counts(tree, old, new, counts):
    assert changes(tree, "lib/kind.py", old, new, "lib.kind") == counts


def test_the_report_depends_on_headings(tree):
    assert changes(
        tree, "lib/kind.py", "heading = 'a'", "heading = 'b'", "lib.kind", presentation=True
    )


def test_dates_do_not_count(tree):
    before = digest(tree)
    later = time.time() + 3 * 3600
    for file in tree.rglob("*.py"):
        os.utime(file, (later, later))
    assert digest(tree) == before


def test_the_cache_gives_the_same_digest_and_a_damaged_one_is_left(tree):
    cache = tree / "work" / "cache.json"
    roots = [tree / "scripts", tree]
    code = Code(roots, cache)
    first = code.digest(["run"])
    code.save()
    assert json.loads(cache.read_text())["files"]
    assert Code(roots, cache).digest(["run"]) == first
    cache.write_text("{")
    assert Code(roots, cache).digest(["run"]) == first
    assert changes(tree, "lib/c.py", "LIMIT = 3", "LIMIT = 5")
