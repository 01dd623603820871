"""What all kinds keep to, of every table."""

import os
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from contract.examples import settings
from facefill.core.errors import FacefillError
from facefill.kinds import TABLES, Kind, declare, kinds, setting
from facefill.settings import schema
from project import ROOT

HEAVY = {"PIL", "cv2", "dlib", "matplotlib", "numpy", "pandas", "scipy", "skimage", "torch"}
ALL = [(table, kind) for table in TABLES for kind in kinds(table)]


@pytest.mark.parametrize(("table", "kind"), ALL)
def test_its_settings_are_documented_and_its_example_is_valid(table, kind):
    declared = kinds(table)[kind]
    known = declared.schema()
    Draft202012Validator.check_schema(known)
    assert all(entry["description"] for entry in known["properties"].values())
    assert declared.__doc__ and declared.__doc__[0] != "("
    given = {k: v for k, v in settings(table, kind).items() if k != "kind"}
    lacking = set(known.get("required", [])) - set(given)
    if not lacking:
        Draft202012Validator(known | {"$defs": schema()["$defs"]}).validate(given)


@pytest.mark.parametrize("table", TABLES)
def test_a_declaration_is_light(table):
    """Snakemake reads all of them whenever it parses."""
    code = f"from facefill.kinds import kinds; import sys; kinds({table!r})"
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*{HEAVY} & sys.modules.keys())"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "\n", (shown.stdout, shown.stderr)


def test_the_schema_holds_every_kind():
    definitions = schema()["$defs"]
    for table, kind in ALL:
        if table != "metrics":
            assert kind in definitions[table[:-1]]["properties"]["kind"]["enum"]
            assert f"{table[:-1]}_{kind}" in definitions


@pytest.fixture
def with_module(monkeypatch, tmp_path):
    """Writes a module into a copy of a table's folder; the cache of kinds is emptied around it."""
    import facefill.masks

    def write(text: str) -> None:
        (tmp_path / "odd.py").write_text(text)
        kinds.cache_clear()

    monkeypatch.setattr(facefill.masks, "__path__", [*facefill.masks.__path__, str(tmp_path)])
    yield write
    sys.modules.pop("facefill.masks.odd", None)
    kinds.cache_clear()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "facefill.masks.odd: declares 0 kinds, expected one class with @declare"),
        ("1 / 0\n", "facefill.masks.odd: cannot be loaded (ZeroDivisionError"),
        ("def f(:\n", "facefill.masks.odd: cannot be loaded (SyntaxError"),
    ],
)
def test_a_module_that_is_no_kind_is_refused(with_module, text, says):
    with_module(text)
    with pytest.raises(FacefillError) as caught:
        kinds("masks")
    assert str(caught.value).startswith(says)


def test_types_become_schemas():
    from typing import Literal

    @declare
    class Odd(Kind):
        """Odd."""

        number: float | None = setting(None, minimum=0, doc="a number")
        word: Literal["a", "b"] = setting("a", doc="a word")
        words: tuple[Literal["a", "b"], ...] = setting((), uniqueItems=True, doc="words")
        needed: int = setting(doc="needed")

    found = Odd.schema()
    assert found["required"] == ["needed"] and not found["additionalProperties"]
    assert found["properties"]["number"] == {
        "type": ["number", "null"],
        "default": None,
        "minimum": 0,
        "description": "a number",
    }
    assert found["properties"]["word"]["enum"] == ["a", "b"]
    assert found["properties"]["words"]["items"] == {"enum": ["a", "b"]}
    odd = Odd.of({"number": 1.0, "word": "b", "words": ["a"], "needed": 3, "sha256": "more"})
    assert odd.words == ("a",) and odd.needed == 3
