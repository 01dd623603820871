"""Instances of kinds for tests: their defaults, their own examples, and what a test changes."""

from typing import Any

from facefill.kinds import kinds


def settings(table: str, kind: str, **changes: Any) -> dict[str, Any]:
    """An entry of the configuration, as it is after `config.load`."""
    declared = kinds(table)[kind]
    properties = declared.schema()["properties"]
    defaults = {name: entry["default"] for name, entry in properties.items() if "default" in entry}
    return {"kind": kind} | defaults | declared.example | changes


def example(table: str, kind: str, **changes: Any) -> Any:
    """The kind with those settings."""
    return kinds(table)[kind].of(settings(table, kind, **changes))
