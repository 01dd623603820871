"""Several trainings of a model: the entries of the configuration that they stand for.

A model with `seeds: [0, 1, 2]` is trained three times: as itself, and as the entries
NAME-training2 and NAME-training3 that are added here. So is every model and method that names it,
with the models of the same number: rules and scripts know of single trainings only.
"""

import re
from typing import Any

from facefill.core.errors import FacefillError
from facefill.kinds import Config, kind_of

RESERVED = re.compile(r"-training\d+$")


def add_trainings(config: Config) -> None:
    """Add the entries of further trainings to a configuration that is valid otherwise.

    Raises FacefillError for an entry of the user's that could be taken for one of them.
    """
    for table in ("models", "methods"):
        entries = dict(config[table])
        for name, entry in entries.items():
            if RESERVED.search(name):
                raise FacefillError(
                    f"config: {table}.{name}: names that end in -training and a number are those "
                    "of further trainings (seeds); rename it"
                )
            for number in range(2, _count(table, name, config) + 1):
                config[table][_named(name, number)] = _training(table, entry, number, config)


def trainings(table: str, name: str, config: Config) -> list[str]:
    """The entries of all trainings of a model, or of those behind a method: its own name first."""
    found = [name]
    while (following := _named(name, len(found) + 1)) in config[table]:
        found.append(following)
    return found


def _named(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-training{number}"


def _references(table: str, entry: Config) -> dict[str, tuple[str, str]]:
    """The table and the name of all entries that an entry names, by its settings."""
    return {
        setting: (other, entry[setting])
        for other in ("models", "methods")
        for setting in kind_of(table, entry).references(other)
        if entry[setting] is not None
    }


def _count(table: str, name: str, config: Config) -> int:
    """How many trainings an entry stands for: as many as the longest list of seeds behind it."""
    entry = config[table][name]
    named = _references(table, entry).values()
    return max([len(entry.get("seeds") or [0]), *(_count(*other, config) for other in named)])


def _training(table: str, entry: Config, number: int, config: Config) -> dict[str, Any]:
    """An entry with the seed and the references of one of its further trainings."""
    changed = {
        setting: _named(name, number)
        for setting, (other, name) in _references(table, entry).items()
        if _count(other, name, config) >= number
    }
    if seeds := entry.get("seeds"):
        changed["seeds"] = [seeds[number - 1] if number <= len(seeds) else seeds[0]]
    return entry | changed
