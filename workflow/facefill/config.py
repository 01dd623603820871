"""The configuration: text values coerced, defaults filled in, mistakes refused in one line."""

import difflib
import math
import os
import reprlib
from collections.abc import Iterable
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from facefill.core.errors import FacefillError
from facefill.kinds import kind_of, kinds, make
from facefill.settings import HOLES, NAMED, schema
from facefill.trainings import add_trainings

Schema = dict[str, Any]

MAX_DEPTH = 10  # of tables in tables; more is an anchor that contains itself
MAX_BITS = 63  # of a whole number, for the libraries that take it

_short = reprlib.Repr()  # a message stays a line that one can read
_short.maxstring = _short.maxother = 80


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# As JSON, whose numbers are finite: .nan would slip through minimum and maximum.
Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
)


def load(config: dict[str, Any], typed: Iterable[str] = ()) -> dict[str, Any]:
    """Return a complete, valid copy of `config`.

    Values that arrive as strings (nested ones in --config do) become what the schema asks for,
    absent keys get their defaults, every kind its preset, further trainings their entries. `typed`
    are the KEY=VALUE of the command
    line, of which Snakemake has made numbers where it could: for text they count as typed. Raises
    FacefillError naming the first wrong key.
    """
    known = schema()
    texts = dict(argument.partition("=")[::2] for argument in typed)
    text_keys = {key for key, entry in known["properties"].items() if entry.get("type") == "string"}
    texts = {key: text for key, text in texts.items() if key in text_keys}
    complete = _complete(config | texts if texts else config, known, known)
    _check_plain(complete)
    errors = list(Validator(known).iter_errors(complete))
    if errors:
        raise FacefillError(_explain(min(errors, key=lambda error: len(error.absolute_path))))
    _add_presets(complete, known)
    _expand_homes(complete)
    for table in NAMED:
        for name, entry in complete[table].items():
            complete[table][name] = kind_of(table, entry).plain(entry)
    for entry in complete["restore"].values():
        entry["method"] = _as_list(entry["method"])
    _check_names(complete)
    _check_split(complete["split"])
    _check_kinds(complete)
    add_trainings(complete)
    return complete


def read_yaml(file: Path | str) -> dict[str, Any]:
    """Read a configuration. Raises FacefillError that says where it is no YAML, or no table."""
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FacefillError(
            f"config: {file}: no such file; correct the path, or run in the project's folder"
        ) from None
    except UnicodeDecodeError as error:
        raise FacefillError(f"config: {file}: not UTF-8 text; save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark
        raise FacefillError(
            f"config: {file}, line {place.line + 1}, column {place.column + 1}: {error.problem}; "
            "correct it"
        ) from error
    except Exception as error:  # PyYAML raises other types, too, for odd dates and deep nesting
        raise FacefillError(f"config: {file}: not read as YAML ({error}); correct it") from error
    if not isinstance(content, dict):
        raise FacefillError(f"config: {file}: expected a table of keys, as in 'seed: 0'")
    return content


def _effective(schema: Schema, value: Any, root: Schema) -> Schema:
    """Merge what $ref and if/then say about `value` into one flat schema."""
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = schema | _effective(target, value, root)
    for branch in [schema, *schema.get("allOf", [])]:
        if "if" in branch:
            holds = Validator(branch["if"]).is_valid(value)
            chosen = branch.get("then" if holds else "else")
            if chosen:
                schema = schema | _effective(chosen, value, root)
    return schema


def _complete(value: Any, schema: Schema, root: Schema) -> Any:
    """Coerce strings and add defaults, as far down as the schema knows what should be there."""
    general, schema = schema, _effective(schema, value, root)
    text, value = value, _coerce(value, schema)
    if isinstance(text, str) and isinstance(value, dict):
        schema = _effective(general, value, root)  # only now can it depend on the table's kind
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties")
        result = {}
        for key, item in value.items():
            known = properties.get(key, others)
            result[key] = _complete(item, known, root) if isinstance(known, dict) else item
        for key, known in properties.items():
            known = _effective(known, None, root)
            if key not in result and "default" in known:
                result[key] = _complete(known["default"], known, root)
        # In the schema's order: Snakemake compares tables as they are printed.
        known = [key for key in properties if key in result]
        return {key: result[key] for key in [*known, *(key for key in result if key not in known)]}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_complete(item, schema["items"], root) for item in value]
    return value


def _coerce(value: Any, schema: Schema) -> Any:
    """Read a string as YAML where the schema wants something else than a string."""
    kinds = _as_list(schema.get("type", []))
    if "null" in kinds and value in ("null", "None", "~", ""):
        return None
    wants_text = "string" in kinds or (not kinds and value in schema.get("enum", [value]))
    if isinstance(value, str) and not wants_text:
        try:
            parsed = yaml.safe_load(value)
        except Exception:  # PyYAML raises other types, too, for odd dates and deep nesting
            return value
        if not isinstance(parsed, str | None):
            value = parsed
    if "string" in kinds and isinstance(value, int | date) and not isinstance(value, bool):
        return str(value)  # a name such as 2024
    if {"number", "integer"} & set(kinds) and isinstance(value, str):
        # YAML 1.1 takes 2e-4 for a string: its numbers need a point.
        try:
            value = float(value)
        except ValueError:
            return value
    if "integer" in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    if "number" in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if value.bit_length() <= MAX_BITS else value
    return value


def _check_plain(value: Any, path: str = "", depth: int = 0) -> None:
    """Refuse what YAML can say and nobody can mean, before anything chokes on it."""
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        raise FacefillError(f"config: {path} is nested too deeply; give it a plain value")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise FacefillError(
                    f"config: {_joined(path, key)} is not read as text; put the name in quotes"
                )
            _check_plain(item, _joined(path, key), depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check_plain(item, _joined(path, place), depth + 1)
    elif isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise FacefillError(
            f"config: {path} is a whole number of {value.bit_length()} bits, expected at most "
            f"{MAX_BITS}; give a smaller one"
        )
    elif isinstance(value, str) and not _is_text(value):
        raise FacefillError(
            f"config: {path} is {_short.repr(value)}, which no file could be called; correct it"
        )


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half of a character
        return False


def _joined(path: str, key: Any) -> str:
    """The path of a key in a table or of a place in a list."""
    shown = _short.repr(key)
    if isinstance(key, str) and key and key.isprintable():
        shown = shown[1:-1]
    return f"{path}.{shown}" if path else shown


def _explain(error: ValidationError) -> str:
    path = reduce(_joined, error.absolute_path, "")
    remedy = "see docs/configuration.md"
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        hint = _suggested(unknown, known) or f"known keys: {', '.join(known)}"
        return f"config: {_joined(path, unknown)} is not a known key; {hint}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"config: {_joined(path, missing)} is missing; add it ({remedy})"
    shown = _short.repr(error.instance)
    if "propertyNames" in error.absolute_schema_path:
        return (
            f"config: {path} has the name {shown}, expected at most 64 letters, digits, - and _, "
            "the first one a letter or digit; rename it"
        )
    path = path or "the top level"
    if error.validator == "enum":
        allowed = [
            str(item).lower() if isinstance(item, bool) else str(item)
            for item in error.validator_value
        ]
        hint = _suggested(error.instance, allowed)
        if hint and path.endswith(".kind"):  # there may be many
            return f"config: {path} is {shown}, which is no known kind; {hint}"
        hint = f"; {hint}" if hint else ""
        return f"config: {path} is {shown}, expected one of {', '.join(allowed)}{hint}"
    expected = {
        "type": lambda: f"expected {_one_of(error.validator_value)}",
        "minimum": lambda: f"expected at least {error.validator_value}",
        "maximum": lambda: f"expected at most {error.validator_value}",
        "exclusiveMinimum": lambda: f"expected more than {error.validator_value}",
        "exclusiveMaximum": lambda: f"expected less than {error.validator_value}",
        "minItems": lambda: f"expected at least {error.validator_value} entries",
        "minProperties": lambda: f"expected at least {error.validator_value} entries",
        "minLength": lambda: "expected some text",
        "uniqueItems": lambda: "expected every entry once",
        "pattern": lambda: f"expected text that matches {error.validator_value}",
    }.get(error.validator, lambda: error.message)()
    return f"config: {path} is {shown}, {expected}; {remedy}"


def _suggested(word: Any, known: Iterable[str]) -> str:
    """Which of `known` somebody may have meant, whatever the case; "" if none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(word).lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}?" if near else ""


def _one_of(kinds: str | list[str]) -> str:
    words = {
        "object": "a table of keys",
        "array": "a list",
        "string": "text",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
    }
    return " or ".join(words.get(kind, kind) for kind in _as_list(kinds))


def _as_list(kinds: str | list[str]) -> list[str]:
    return [kinds] if isinstance(kinds, str) else kinds


def _expand_homes(config: dict[str, Any]) -> None:
    """Turn the ~ of paths into the user's home folder."""
    tables = [(config, "cache"), (config, "checkpoints"), (config["align"], "predictor")]
    named = [*config["datasets"].values(), *config["masks"].values()]
    tables += [(entry, "path") for entry in named if "path" in entry]
    tables += [(entry, "folder") for entry in config["methods"].values() if "folder" in entry]
    tables += [(entry, key) for entry in config["restore"].values() for key in ("path", "faces")]
    tables += [(entry, "start") for entry in config["models"].values() if "start" in entry]
    people = [entry.get("identity") for entry in config["datasets"].values()]
    tables += [(identity, "table") for identity in people if isinstance(identity, dict)]
    for table, key in tables:
        if table[key]:
            table[key] = os.path.expanduser(table[key])


def _add_presets(config: dict[str, Any], root: Schema) -> None:
    """Give every kind that needs no settings an entry of its own name, unless one is there."""
    for table in NAMED:
        entry = root["properties"][table]["additionalProperties"]
        for kind, declared in kinds(table).items():
            if kind not in config[table] and "required" not in declared.schema():
                config[table][kind] = _complete({"kind": kind}, entry, root)


def _check_names(config: dict[str, Any]) -> None:
    """Refuse names that nothing in the configuration carries, or that the workflow needs itself."""
    for name in config["datasets"]:
        if name.lower() in ("logs", "benchmarks"):
            raise FacefillError(
                f"config: datasets.{name}: results/{name}/ is taken by the workflow; rename the "
                "dataset"
            )
    check_known("dataset", config["dataset"], config["datasets"], "datasets")
    for table in ("masks", "methods"):
        for name in config["compare"][table]:
            check_known(f"compare.{table}", name, config[table], table)
    for name, entry in config["restore"].items():
        for method in entry["method"]:
            check_known(f"restore.{name}.method", method, config["methods"], "methods")
        holes = dict.fromkeys(HOLES) | config["masks"]
        check_known(f"restore.{name}.hole", entry["hole"], holes, f"{', '.join(HOLES)} or masks")
    _check_pairs(config)
    for name, method in config["methods"].items():
        for mask in method["masks"] or ():
            check_known(f"methods.{name}.masks", mask, config["masks"], "masks")
    for table in ("models", "methods"):
        for name, entry in config[table].items():
            _check_references(f"{table}.{name}", table, entry, config)
    with_bases(config["models"], config)


def _check_references(key: str, table: str, entry: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse a setting that names no entry, or one whose kind does not provide what it must."""
    for other in ("models", "methods"):
        for name, provides in kind_of(table, entry).references(other).items():
            if entry[name] is not None:
                if provides and entry[name] in config[other]:
                    _check_provides(f"{key}.{name}", entry[name], config[other], provides)
                check_known(f"{key}.{name}", entry[name], config[other], other)


def _check_provides(key: str, name: str, models: dict[str, Any], provides: str) -> None:
    fitting = [other for other in models if kind_of("models", models[other]).provides == provides]
    if name not in fitting:
        raise FacefillError(
            f"config: {key} is {name!r}, a model of kind {models[name]['kind']}, which provides no "
            f"{provides}; name one of: {', '.join(fitting) or 'none there'}"
        )


def _check_kinds(config: dict[str, Any]) -> None:
    """Let every entry check itself, and those that the report needs whether they fit the faces."""
    for table in NAMED:
        for name, entry in config[table].items():
            make(table, entry).check(f"{table}.{name}", config)
    # Others need not fit the size, nor follow what is changed of a model that they use.
    sets = config["restore"].values()
    methods = dict.fromkeys(config["compare"]["methods"])
    methods |= dict.fromkeys(method for entry in sets for method in entry["method"])
    methods |= dict.fromkeys(named_by("methods", methods, "methods", config))
    models = with_bases(named_by("methods", methods, "models", config), config)
    masks = [entry["hole"] for entry in sets if entry["hole"] in config["masks"]]
    masks += config["compare"]["masks"]
    used = {"methods": methods, "models": models, "masks": masks}
    for table, names in used.items():
        for name in dict.fromkeys(names):
            entry = config[table][name]
            make(table, entry).check_used(f"{table}.{name}", config)


def named_by(table: str, names: Iterable[str], other: str, config: dict[str, Any]) -> list[str]:
    """The entries of the table `other` that entries of `table` refer to, each once."""
    entries = [config[table][name] for name in names]
    found = [entry[name] for entry in entries for name in kind_of(table, entry).references(other)]
    return [*dict.fromkeys(name for name in found if name is not None)]


def with_bases(models: Iterable[str], config: dict[str, Any]) -> list[str]:
    """Models and all that they build on, each once and behind what it builds on.

    Raises FacefillError where one builds on itself.
    """
    found: dict[str, None] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            ring = " -> ".join([*above[above.index(name) :], name])
            raise FacefillError(
                f"config: models.{name} builds on itself ({ring}); name another model"
            )
        if name not in found:
            for base in named_by("models", [name], "models", config):
                add(base, (*above, name))
            found[name] = None

    for name in models:
        add(name, ())
    return list(found)


def _check_pairs(config: dict[str, Any]) -> None:
    """Refuse a compared method without a mask, and a mask without a method."""
    compare = config["compare"]
    left = set(compare["masks"])
    for name in compare["methods"]:
        masks = config["methods"][name]["masks"] or compare["masks"]
        if not set(masks) & set(compare["masks"]):
            raise FacefillError(
                f"config: methods.{name}.masks names none of compare.masks "
                f"({', '.join(compare['masks'])}); add one, or take {name} out of compare.methods"
            )
        left -= set(masks)
    if left:
        mask = min(left, key=compare["masks"].index)
        raise FacefillError(
            f"config: compare.masks names {mask!r}, which no method completes by its own masks; "
            "compare a method that does, or take the mask out"
        )


def check_known(key: str, name: str, table: dict[str, Any], where: str) -> None:
    """Refuse a name that is none of `table`, which `where` says, with a suggestion."""
    if name not in table:
        hint = _suggested(name, table) or f"known: {', '.join(table) or 'none'}"
        raise FacefillError(
            f"config: {key} names {_short.repr(name)}, which is not in {where}; {hint}"
        )


def _check_split(split: dict[str, Any]) -> None:
    for key in ("val", "test"):
        if split[key] >= 1:
            if split[key] != int(split[key]):
                raise FacefillError(
                    f"config: split.{key} is {split[key]}, expected a share below 1 or a whole "
                    "number"
                )
            split[key] = int(split[key])
    if (split["val"] < 1) != (split["test"] < 1):
        raise FacefillError(
            f"config: split.val is {split['val']} and split.test is {split['test']}, expected two "
            "shares below 1 or two counts of faces"
        )
    if split["val"] < 1 and split["val"] + split["test"] >= 1:
        raise FacefillError(
            "config: split.val and split.test leave nothing to train on, expected a sum below 1"
        )
