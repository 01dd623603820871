"""What a kind declares, and how kinds are found.

A kind is one way to be a data set, a mask, a method, a model or a measure: a class in a module (or
package) of its own in datasets/, masks/, methods/, models/ or metrics/, which is called after it.
Its annotated attributes are its settings. Nothing else lists kinds: the schema of the
configuration, its documentation, the rules, the report and the contract tests are made from what
is found in these folders.

Snakemake reads every declaration whenever it parses, so a kind's module imports NumPy, OpenCV,
PyTorch and the like inside of functions, or in modules beside it, never at its top. A method that
overrides one of the base class has the types and the docstring of that, without repeating them.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import types
import typing
from dataclasses import MISSING
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar

from facefill.core.errors import FacefillError

TABLES = ("datasets", "masks", "methods", "models", "metrics")
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}

Config = dict[str, Any]
AnySettings = TypeVar("AnySettings", bound="Settings")


def setting(
    default: Any = MISSING,
    doc: str = "",
    *,
    above: float | None = None,
    below: float | None = None,
    schema: Config | None = None,
    **bounds: Any,
) -> Any:
    """Declare a setting: its default (none = it must be given) and one sentence about it.

    It must be greater than `above` and less than `below`; other `bounds` are keywords of JSON
    Schema (minimum, maximum, minLength, uniqueItems, ...). The type comes from the annotation:
    bool, int, float, str, Literal, a tuple of these, each of them also with None; `schema`
    replaces what would be made from it.
    """
    exclusive = {"exclusiveMinimum": above, "exclusiveMaximum": below}
    bounds |= {name: bound for name, bound in exclusive.items() if bound is not None}
    metadata = {"doc": doc, "bounds": bounds, "schema": schema}
    return dataclasses.field(default=default, metadata=metadata)


def reference(table: str, provides: str = "", default: Any = MISSING, *, doc: str) -> Any:
    """Declare a setting that names an entry of another `table`, "models" or "methods".

    With `provides` the entry's kind must have that in its `provides`. The job gets the entry's
    files as an input that is called after the setting.
    """
    metadata = {"doc": doc, "bounds": {}, "schema": None, "table": table, "provides": provides}
    return dataclasses.field(default=default, metadata=metadata)


def declare(kind: type[AnySettings]) -> type[AnySettings]:
    """Class decorator of every kind: makes it a frozen dataclass with keyword arguments."""
    return dataclasses.dataclass(frozen=True, kw_only=True)(kind)


class Settings:
    """A group of settings; subclasses are decorated with `declare`."""

    @classmethod
    def of(cls, settings: Config) -> Self:
        """Take this class's settings from a table of the configuration, lists as tuples."""
        values = {name: settings[name] for name in cls.settings()}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    @classmethod
    def settings(cls) -> dict[str, dataclasses.Field]:
        """The declarations by name, in the order of the class."""
        return {field.name: field for field in dataclasses.fields(cls) if field.metadata}

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON Schema of a table of these settings."""
        hints = typing.get_type_hints(cls)
        properties, required = {}, []
        for name, field in cls.settings().items():
            entry = dict(field.metadata["schema"] or _schema_of(hints[name]))
            if field.default is MISSING:
                required.append(name)
            else:
                entry["default"] = _plain(field.default)
            properties[name] = entry | field.metadata["bounds"]
            properties[name]["description"] = field.metadata["doc"]
        found = {"type": "object", "additionalProperties": False, "properties": properties}
        return found | ({"required": required} if required else {})


class Kind(Settings):
    """What all kinds declare. `kind` is set by `kinds`: the name of the module."""

    kind: ClassVar[str]
    # Settings that have no default, or a smaller size, for the contract tests.
    example: ClassVar[Config] = {}

    @classmethod
    def plain(cls, entry: Config) -> Config:
        """Return an entry in one spelling: jobs run again when another says another thing."""
        return entry

    def check(self, key: str, config: Config) -> None:
        """Refuse settings that contradict each other or another part of the configuration.

        Asked of every entry, used or not; `key` is its place, such as "methods.ours". Raises
        FacefillError.
        """

    def check_used(self, key: str, config: Config) -> None:
        """Refuse settings that do not fit align, asked of entries that the report needs."""

    @classmethod
    def references(cls, table: str) -> dict[str, str]:
        """The settings that name entries of `table`, and what these must provide ("" = any)."""
        return {
            name: field.metadata["provides"]
            for name, field in cls.settings().items()
            if field.metadata.get("table") == table
        }


@cache
def kinds(table: str) -> dict[str, type[Kind]]:
    """The kinds of a table by name, sorted by it. Raises FacefillError for a module without one."""
    package = importlib.import_module(f"facefill.{table}")
    found = {}
    for entry in sorted(pkgutil.iter_modules(package.__path__), key=lambda entry: entry.name):
        if entry.name.startswith("_"):
            continue  # what several kinds share
        name = f"facefill.{table}.{entry.name}"
        try:
            module = importlib.import_module(name)
        except Exception as error:
            raise FacefillError(
                f"{name}: cannot be loaded ({type(error).__name__}: {error}); correct it"
            ) from error
        declared = [value for value in vars(module).values() if _is_declared(value, name)]
        if len(declared) != 1:
            raise FacefillError(
                f"{name}: declares {len(declared)} kinds, expected one class with @declare"
            )
        found[entry.name] = declared[0]
        found[entry.name].kind = entry.name
    return found


def kind_of(table: str, settings: Config) -> type[Kind]:
    """The kind of an entry of the configuration."""
    return kinds(table)[settings["kind"]]


def make(table: str, settings: Config) -> Any:
    """The kind of an entry, which has been checked, with its settings."""
    return kind_of(table, settings).of(settings)


def _is_declared(value: object, module: str) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, Kind)
        and value.__module__ == module
        and dataclasses.is_dataclass(value)
    )


def _schema_of(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a type."""
    if hint in JSON_TYPES:
        return {"type": JSON_TYPES[hint]} | ({"minLength": 1} if hint is str else {})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if origin in (types.UnionType, typing.Union) and arguments[-1] is type(None):
        schema = _schema_of(arguments[0])
        if "enum" in schema:
            return {"enum": [*schema["enum"], None]}
        return schema | {"type": [schema["type"], "null"]}
    raise TypeError(f"a setting cannot have the type {hint}")


def _plain(value: Any) -> Any:
    """A default as YAML has it."""
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
