"""The configuration: text values coerced, defaults filled in, mistakes refused in one line."""

import difflib
import math
import os
import reprlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from facefill.core.errors import FacefillError
from facefill.holes import Hides, drawn_files, hides

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


def load(config: dict[str, Any], schema_file: Path) -> dict[str, Any]:
    """Return a complete, valid copy of `config`.

    Values that arrive as strings (nested ones in --config do) become what the schema asks for,
    absent keys get their defaults. Raises FacefillError naming the first wrong key.
    """
    schema = _schema(schema_file)
    complete = _complete(config, schema, schema)
    _check_plain(complete)
    errors = list(Validator(schema).iter_errors(complete))
    if errors:
        raise FacefillError(_explain(min(errors, key=lambda error: len(error.absolute_path))))
    _check_datasets(complete["datasets"])
    _expand_homes(complete)
    _check_references(complete)
    _check_models(complete)
    _check_split(complete["split"])
    _check_masks(complete)
    return complete


@cache
def _schema(file: Path) -> Schema:
    """Read the schema, by libyaml where PyYAML has it: that takes an eighth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), loader)


def check_yaml(file: Path | str) -> None:
    """Refuse a configuration that is no table in YAML, and say where: Snakemake does not."""
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FacefillError(f"config: {file}: no such file; run in the project's folder") from None
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


def _effective(schema: Schema, value: Any, root: Schema) -> Schema:
    """Merge what $ref and if/then say about `value` into one flat schema."""
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**schema, **_effective(target, value, root)}
    branches = [schema, *schema.get("allOf", [])]
    for branch in branches:
        if "if" in branch:
            holds = Validator(branch["if"]).is_valid(value)
            chosen = branch.get("then" if holds else "else")
            if chosen:
                schema = {**schema, **_effective(chosen, value, root)}
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


def _path(error: ValidationError) -> str:
    path = ""
    for part in error.absolute_path:
        path = _joined(path, part)
    return path


def _explain(error: ValidationError) -> str:
    path = _path(error)
    remedy = "see workflow/schemas/config.schema.yaml"
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
    tables = [(config, "cache"), (config["align"], "predictor")]
    named = [*config["datasets"].values(), *config["masks"].values()]
    tables += [(entry, "path") for entry in named if "path" in entry]
    for table, key in tables:
        if table[key]:
            table[key] = os.path.expanduser(table[key])


def _check_masks(config: dict[str, Any]) -> None:
    """Refuse masks of the report that cannot be drawn or leave nothing to continue."""
    size, zoom = config["align"]["size"], config["align"]["zoom"]
    for name in config["compare"]["masks"]:
        settings = config["masks"][name]
        if settings["kind"] == "file":
            _check_drawn(f"masks.{name}.path", settings, size, zoom)
        else:
            _check_mask(f"masks.{name}", settings, size, zoom)


def _check_drawn(key: str, settings: dict[str, Any], size: int, zoom: float) -> None:
    """Refuse a drawn mask that is none; only here does a configuration cost NumPy and Pillow."""
    from facefill.core.masking import make_masks

    names = ["face"]
    if os.path.isdir(settings["path"]):
        names = [file.stem for file in drawn_files(settings)]
        if not names:
            raise FacefillError(
                f"config: {key}: {settings['path']} holds no PNG; put one {{face}}.png per test "
                "face there"
            )
    try:
        make_masks(settings, names, size, zoom)
    except FacefillError as error:
        raise FacefillError(f"config: {key}: {error}") from error


def _check_mask(key: str, settings: dict[str, Any], size: int, zoom: float) -> None:
    """Refuse a mask that cannot be drawn, or is all hole or none."""
    try:
        extent = hides(settings, size, zoom)
    except FacefillError as error:
        raise FacefillError(f"config: {key}.{error}") from error
    if extent is Hides.NOTHING and settings["kind"] != "full":
        raise FacefillError(
            f"config: {key} hides nothing at {size} pixels; let it hide more, or use kind full"
        )
    if extent is Hides.ALL and settings["kind"] != "lowres":
        raise FacefillError(
            f"config: {key} hides the whole face at {size} pixels; leave some known"
        )


def _check_datasets(datasets: dict[str, Any]) -> None:
    for name, dataset in datasets.items():
        if name.lower() in ("logs", "benchmarks"):
            raise FacefillError(
                f"config: datasets.{name}: results/{name}/ is taken by the workflow; rename the "
                "dataset"
            )
        if dataset["kind"] == "synthetic" and dataset["people"] > dataset["faces"]:
            raise FacefillError(
                f"config: datasets.{name}.people is {dataset['people']}, expected at most as many "
                f"as its faces ({dataset['faces']})"
            )


def _check_references(config: dict[str, Any]) -> None:
    """Refuse names that nothing in the configuration carries."""
    _known("dataset", config["dataset"], config["datasets"], "datasets")
    for name in config["compare"]["masks"]:
        _known("compare.masks", name, config["masks"], "masks")
    for name in config["compare"]["methods"]:
        _known("compare.methods", name, config["methods"], "methods")
    _check_pairs(config)
    for name, method in config["methods"].items():
        for mask in method["masks"] or ():
            _known(f"methods.{name}.masks", mask, config["masks"], "masks")
        if method.get("window", 1) % 2 == 0:
            raise FacefillError(
                f"config: methods.{name}.window is {method['window']}, expected an odd number of "
                "pixels so that the window has a middle"
            )
        searches = method.get("restarts", 1) * method.get("samples", 1)
        if method.get("start") == "mean" and searches > 1 and method["optimizer"] != "hmc":
            raise FacefillError(
                f"config: methods.{name}.start is 'mean', so that its {searches} searches per face "
                "would be one and the same; set start to random, or restarts and samples to 1"
            )
        halvings = math.ceil(math.log2(method.get("restarts", 1)))
        if halvings >= method.get("steps", math.inf):
            raise FacefillError(
                f"config: methods.{name}.restarts is {method['restarts']}, too many to be halved "
                f"{halvings} times within {method['steps']} steps; lower it or raise steps"
            )
    size = config["align"]["size"]
    for method in (config["methods"][name] for name in config["compare"]["methods"]):
        if "model" in method and size & (size - 1):
            raise FacefillError(
                f"config: align.size is {size}, expected a power of two (32, 64, 128, ...), since "
                f"the method compared uses the model {method['model']!r}"
            )
    for name, method in config["methods"].items():
        if method["kind"] == "latent":
            _check_target(name, method, config)


def _check_target(name: str, method: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse a target that is none, and one that lacks faces or masks of the method."""
    key, target = f"methods.{name}", method["target"]
    if (target is None) != (method["target_weight"] == 0):
        raise FacefillError(
            f"config: {key}.target_weight is {method['target_weight']}, but {key}.target is "
            f"{target!r}; set both, or target to null and the weight to 0"
        )
    if target is None:
        return
    _known(f"{key}.target", target, config["methods"], "methods")
    other, compare = config["methods"][target], config["compare"]
    if other["kind"] == "latent":
        raise FacefillError(
            f"config: {key}.target is {target!r}, which searches itself; name a method of another "
            "kind"
        )
    if name not in compare["methods"]:
        return
    counts = [one["faces"] or compare["faces"] for one in (method, other)]
    if counts[0] > counts[1]:
        raise FacefillError(
            f"config: {key}.target is {target!r}, which completes {counts[1]} faces, but {name} "
            f"completes {counts[0]}; set methods.{target}.faces to that"
        )
    masks = [one["masks"] or compare["masks"] for one in (method, other)]
    lacking = [mask for mask in masks[0] if mask in compare["masks"] and mask not in masks[1]]
    if lacking:
        raise FacefillError(
            f"config: methods.{target}.masks lacks {lacking[0]!r}, under which {name} completes, "
            "whose target it is; add it"
        )


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


def _check_models(config: dict[str, Any]) -> None:
    """Refuse models whose settings contradict each other, and methods that do not fit theirs."""
    models = config["models"]
    for name, model in models.items():
        if model["kind"] == "encoder":
            _of_kind(f"models.{name}.generator", model["generator"], models, "dcgan")
        elif model["kind"] == "glcic":
            _check_phases(f"models.{name}", model)
        elif model["loss"] == "hinge" and model["label_smoothing"]:
            raise FacefillError(
                f"config: models.{name}.label_smoothing is {model['label_smoothing']}, but the "
                "loss hinge has no targets to smooth; set it to 0"
            )
    for name, method in config["methods"].items():
        if method["kind"] == "latent":
            _check_latent(f"methods.{name}", method, models)
        elif method["kind"] == "feedforward":
            _check_feedforward(f"methods.{name}", method, models)
    size, zoom = config["align"]["size"], config["align"]["zoom"]
    # Others need not fit the size, nor follow what is changed of a model that they use.
    compared = config["compare"]["methods"]
    targets = (config["methods"][name].get("target") for name in compared)
    for name in dict.fromkeys([*compared, *filter(None, targets)]):
        method = config["methods"][name]
        if method["kind"] == "latent":
            _check_features(f"methods.{name}.features", method["features"], size)
            if method["encoder"]:
                encoder = models[method["encoder"]]
                _check_encoder(f"models.{method['encoder']}", encoder, size, zoom)
                _check_fits_encoder(f"methods.{name}", method, encoder)
        elif method["kind"] == "feedforward":
            masks = models[method["model"]]["masks"]
            _check_training_masks(f"models.{method['model']}.masks", masks, size, zoom)


def _check_phases(key: str, model: dict[str, Any]) -> None:
    """Refuse phases of a completion network's training that would train nothing of use."""
    if not model["reconstruction_epochs"] + model["joint_epochs"]:
        raise FacefillError(
            f"config: {key}.reconstruction_epochs and {key}.joint_epochs are 0, so that the "
            "completion network would never be trained; raise one of them"
        )
    if model["discriminator_epochs"] and not model["joint_epochs"]:
        raise FacefillError(
            f"config: {key}.discriminator_epochs is {model['discriminator_epochs']}, but with "
            "joint_epochs 0 nothing learns from the discriminators; set both to 0 or none"
        )


def _check_feedforward(key: str, method: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    _of_kind(f"{key}.model", method["model"], models, "glcic")
    if method["start"] != "none" and method["blend"] != "seamless":
        raise FacefillError(
            f"config: {key}.start is {method['start']!r}, but the blend {method['blend']} does not "
            "depend on it; set start to none, or blend to seamless"
        )


def _check_latent(key: str, method: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    _of_kind(f"{key}.model", method["model"], models, "dcgan")
    if method["prior"] and models[method["model"]]["loss"] == "lsgan":
        raise FacefillError(
            f"config: {key}.prior is {method['prior']}, but the model {method['model']!r} was "
            "trained with the loss lsgan, whose verdicts are no logits; set prior to 0"
        )
    if method["encoder"] is None:
        without = {"start": "random", "anchor": 0}
        for what, instead in without.items():
            if method[what] == "encoder" or (what == "anchor" and method[what]):
                raise FacefillError(
                    f"config: {key}.{what} is {method[what]!r}, but the method has no encoder; "
                    f"name one under {key}.encoder, or set {what} to {instead}"
                )
        return
    _of_kind(f"{key}.encoder", method["encoder"], models, "encoder")
    encoder = models[method["encoder"]]
    if method["start"] != "encoder" and not method["anchor"] and not encoder["features"]:
        raise FacefillError(
            f"config: {key}.encoder is {method['encoder']!r}, but the search neither starts at "
            "its prediction nor is held near it; set start to encoder, anchor above 0, or encoder "
            "to null"
        )


def _check_encoder(key: str, encoder: dict[str, Any], size: int, zoom: float) -> None:
    """Refuse an encoder that cannot be trained on faces of `size` pixels."""
    _check_features(f"{key}.features", encoder["features"], size)
    _check_training_masks(f"{key}.masks", encoder["masks"], size, zoom)


def _check_fits_encoder(key: str, method: dict[str, Any], encoder: dict[str, Any]) -> None:
    """Refuse a search whose encoder predicts for another model, or another feature map."""
    if encoder["generator"] != method["model"]:
        raise FacefillError(
            f"config: {key}.encoder is {method['encoder']!r}, which predicts for the model "
            f"{encoder['generator']!r}, not for {method['model']!r}; name another one"
        )
    if encoder["features"] not in (0, method["features"]):
        raise FacefillError(
            f"config: {key}.features is {method['features']}, but its encoder predicts the map of "
            f"side {encoder['features']}; set it to that"
        )


def _check_training_masks(key: str, masks: list[dict[str, Any]], size: int, zoom: float) -> None:
    """Refuse masks under which nothing can be learnt."""
    for place, mask in enumerate(masks):
        if mask["kind"] in ("file", "full"):
            raise FacefillError(
                f"config: {key}.{place} is of kind {mask['kind']}, which nothing can be learnt "
                "from; list others"
            )
        _check_mask(f"{key}.{place}", mask, size, zoom)


def _check_features(key: str, side: int, size: int) -> None:
    sides = [4 << step for step in range(16) if 4 << step < size]
    if side not in (0, *sides):
        raise FacefillError(
            f"config: {key} is {side}, expected 0 or the side of a feature map of a generator for "
            f"{size} pixels: {', '.join(map(str, sides))}"
        )


def _of_kind(key: str, name: str, models: dict[str, dict[str, Any]], kind: str) -> None:
    of_kind = {other: model for other, model in models.items() if model["kind"] == kind}
    if name in models and name not in of_kind:
        raise FacefillError(
            f"config: {key} is {name!r}, a model of kind {models[name]['kind']}, expected one of "
            f"kind {kind}: {', '.join(of_kind) or 'none there'}"
        )
    _known(key, name, models, "models")


def _known(key: str, name: str, table: dict[str, Any], where: str) -> None:
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
