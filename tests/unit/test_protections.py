"""The table of protections fits the project; that each is noticed, `make protections` shows."""

from collections import Counter

import pytest
import yaml

import protections
from protections import misfit, read

TABLE = read()


def test_the_table_covers_the_project():
    assert len(TABLE) >= 60
    assert len({one.part for one in TABLE}) >= 15
    assert min(Counter(one.part for one in TABLE).values()) >= 3


def test_no_two_entries_are_one():
    assert max(Counter((one.file, one.text) for one in TABLE).values()) == 1
    assert max(Counter(one.protects for one in TABLE).values()) == 1


@pytest.mark.parametrize("one", TABLE, ids=lambda one: one.protects)
def test_every_entry_fits_the_code(one):
    assert misfit(one) == ""
    assert one.without != one.text
    assert one.protects.endswith(".") and "\n" not in one.protects


# Whoever judges protections is judged here: a project of one module and one file of tests.

CODE = """
LIMIT = 3


def limited(number):
    return min(number, LIMIT)
"""
TESTS = """
from code_of_it import LIMIT, limited


def test_limited():
    assert limited(9) <= 3


def test_the_limit():
    assert LIMIT


def test_wrong():
    assert limited(1) == 9
"""
NOTICED = {"protects": "A.", "file": "code_of_it.py", "text": "min(number, LIMIT)"}
NOTICED |= {"without": "number", "test": "tests/test_it.py::test_limited"}
FAULTS = {
    "the test stays green: 1 passed": {"test": "tests/test_it.py::test_the_limit"},
    "tests/test_it.py has no test_gone": {"test": "tests/test_it.py::test_gone"},
    "tests/gone.py: no such file": {"test": "tests/gone.py::test_limited"},
    "fails on the untouched code: assert 1 == 9": {"test": "tests/test_it.py::test_wrong"},
    "code_of_it.py holds 'LIMIT' 2 times, expected once": {"text": "LIMIT"},
    "code_of_it.py holds 'gone' 0 times, expected once": {"text": "gone"},
    "code_of_it.py is no Python without it": {"without": "min("},
    "the change breaks the program: NameError": {"without": "nobody"},
    "error at import or before the test": {"text": "LIMIT = 3", "without": "MOST = LIMIT = None.x"},
}


@pytest.fixture
def judged(tmp_path, monkeypatch, capsys):
    """What is said of entries of a small project's table, and the exit code."""
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "code_of_it.py").write_text(CODE)
    (project / "tests" / "test_it.py").write_text(TESTS)
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    monkeypatch.setattr(protections, "ROOT", project)
    monkeypatch.setattr(protections, "TABLE", tmp_path / "table.yaml")
    protections._functions.cache_clear()

    def judge(*entries, words=()):
        (tmp_path / "table.yaml").write_text(yaml.safe_dump({"part": list(entries)}))
        code = protections.main(list(words))
        assert (project / "code_of_it.py").read_text() == CODE
        return capsys.readouterr().out, code

    yield judge
    protections._functions.cache_clear()


@pytest.mark.slow  # starts pytest six times
def test_faults_of_the_table_and_of_the_tests_are_told(judged):
    said, code = judged(NOTICED, *(NOTICED | changes for changes in FAULTS.values()))
    lines = said.splitlines()
    assert lines[1].startswith("ok    part: A. [test_it.py::test_limited: assert 9 <= 3")
    for line, fault in zip(lines[2:-1], FAULTS, strict=True):
        assert line.startswith("FAULT part: A.") and fault in line
    assert lines[-1].startswith(f"{len(FAULTS) + 1} protections, {len(FAULTS)} faults, ")
    assert code == 1


def test_words_choose_entries(judged):
    one, other = (NOTICED | {"protects": name, "text": "gone"} for name in ("One.", "Another."))
    said, code = judged(one, other, words=["Anoth"])
    assert code == 1 and "1 protections, 1 faults" in said and "Another." in said
    assert judged(one, other, words=["nothing like that"])[1] == 1
