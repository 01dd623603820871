"""The closure of a script's local imports, from its syntax tree."""

import pytest

from facefill.core.code import closure


@pytest.fixture
def tree(tmp_path):
    files = {
        "scripts/run.py": "import os\nfrom lib.a import thing\nfrom shared import x\n",
        "scripts/shared.py": "x = 1\n",
        "scripts/other.py": "import lib.c\n",
        "lib/__init__.py": "",
        "lib/a.py": "from lib import b\n",
        "lib/b.py": "def f():\n    from .deep.d import g\n",
        "lib/c.py": "",
        "lib/deep/__init__.py": "from ..c import z\n",
        "lib/deep/d.py": "import lib.a\n",
        "lib/unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def names(tree, script):
    files = closure(tree / "scripts" / script, [tree / "scripts", tree])
    return [str(file.relative_to(tree)) for file in files]


def test_what_is_imported_directly_and_not(tree):
    assert names(tree, "run.py") == [
        "lib/__init__.py",
        "lib/a.py",
        "lib/b.py",
        "lib/c.py",
        "lib/deep/__init__.py",
        "lib/deep/d.py",
        "scripts/run.py",
        "scripts/shared.py",
    ]


def test_a_package_runs_its_init(tree):
    assert names(tree, "other.py") == ["lib/__init__.py", "lib/c.py", "scripts/other.py"]
