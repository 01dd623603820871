"""Reading a bundle, which may be damaged, foreign, of a newer facefill, or mean harm."""

import json
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from facefill.bundle import (
    CONTENTS,
    FORMAT,
    LARGEST_BUNDLE,
    MODEL_NAME,
    OF_ALL,
    SETTINGS,
    WEIGHTS,
    largest,
    of_model,
)
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_bytes

NAME = f"^{MODEL_NAME}(?!\\n)$"
SHA256 = {"type": "string", "pattern": r"^[0-9a-f]{64}(?!\n)$"}
COUNT = {"type": "integer", "minimum": 0}
TABLE = {"type": "object"}


def _of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*properties], "properties": properties}


# What bundle.json must have; later versions of one format may add to it.
SCHEMA = _of(
    format={"type": "integer", "minimum": 1},
    facefill={"type": "string", "pattern": r"^[0-9A-Za-z.+-]{1,40}(?!\n)$"},
    dataset={"type": "string", "pattern": NAME},
    data=TABLE,
    align=_of(
        size={"type": "integer", "minimum": 1},
        landmarks={"type": "string"},
        zoom={"type": "number", "exclusiveMinimum": 0},
        predictor={"anyOf": [SHA256, {"type": "null"}]},
    ),
    splits=TABLE | {"additionalProperties": _of(faces=COUNT, people=COUNT)},
    methods=TABLE | {"additionalProperties": _of(kind={"type": "string"})},
    models=TABLE
    | {
        "propertyNames": {"pattern": NAME},
        "additionalProperties": _of(kind={"type": "string"}),
    },
    halving=TABLE,
    members=TABLE | {"additionalProperties": _of(bytes=COUNT, sha256=SHA256)},
)


class _Refused(Exception):
    """What is wrong with a bundle, and the remedy."""


AGAIN = "get the bundle anew"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose members were all found whole."""

    path: Path
    contents: dict[str, Any]  # bundle.json

    def read(self, member: str) -> bytes:
        """Return a member, checked once more. Raises FacefillError as `open_bundle` does."""
        with _refusing(self.path):
            return self._read(member)

    def _read(self, member: str) -> bytes:
        facts = self.contents["members"].get(member)
        if facts is None:
            raise _Refused(f"{member!r} is missing; {AGAIN}")
        with _opened(self.path) as zipped, zipped.open(member) as file:
            data = file.read(facts["bytes"] + 1)  # it may have become any size since it was opened
        if len(data) != facts["bytes"] or sha256_bytes(data) != facts["sha256"]:
            raise _Refused(f"{member!r} is damaged: not the bytes that bundle.json says; {AGAIN}")
        return data


def open_bundle(path: Path | str) -> Bundle:
    """Open a bundle and check all of it: its members' names, sizes, checksums and kinds.

    Raises FacefillError naming the file when it is no bundle, damaged, of a newer format, or has a
    member that no bundle has.
    """
    path = Path(path)
    with _refusing(path):
        with _opened(path) as zipped:
            members = {info.orig_filename: info for info in zipped.infolist()}
            if CONTENTS not in members:
                raise _foreign(members)
            # Its version first: a newer one may have members that this one does not know.
            _check_member(members[CONTENTS])
            contents = _contents(zipped.read(members[CONTENTS]))
            names = _members(zipped, path.stat().st_size)
        _same_members(names, contents)
        bundle = Bundle(path, contents)
        for member in contents["members"]:
            KINDS[Path(member).suffix](member, bundle._read(member))
        for model, settings in contents["models"].items():
            _own_settings(bundle, model, settings)
    return bundle


class _refusing:
    """A context that turns whatever a broken ZIP raises into one line that names the file."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _Refused):
            raise FacefillError(f"{self._path}: {error}") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise FacefillError(
                f"{self._path}: cannot be read ({error.strerror}); correct the path, or give "
                "yourself the right to read it"
            ) from error
        if isinstance(error, Exception):  # zipfile raises almost anything on damaged data
            raise FacefillError(
                f"{self._path}: damaged, incomplete or no bundle at all ({type(error).__name__}: "
                f"{str(error)[:200]}); {AGAIN}"
            ) from error


def _opened(path: Path) -> zipfile.ZipFile:
    size = path.stat().st_size
    if size > LARGEST_BUNDLE:
        raise _Refused(
            f"has {size:,} bytes, and a bundle at most {LARGEST_BUNDLE:,}; give another file"
        )
    return zipfile.ZipFile(path)


def _foreign(members: Iterable[str]) -> _Refused:
    other = next((name for name in members if largest(name) is None), None)
    has = f" (it has {other[:60]!r})" if other else ""
    return _Refused(f"a ZIP without {CONTENTS}, so no bundle of facefill{has}; give another")


def _members(zipped: zipfile.ZipFile, size: int) -> list[str]:
    """The names of the members, each once, all of them plain, stored, and of allowed sizes."""
    members = zipped.infolist()
    names = [info.orig_filename for info in members]
    for info, name in zip(members, names, strict=True):
        _check_member(info)
        if names.count(name) > 1:
            raise _Refused(f"holds {name!r} more than once; {AGAIN}")
    # What is stored cannot be larger than the file, unless members share their bytes.
    if sum(info.file_size for info in members) > size:
        raise _Refused(f"its members have more bytes than the file; {AGAIN}")
    return names


def _check_member(info: zipfile.ZipInfo) -> None:
    """Refuse a member whose name or size no bundle has, or that is more than stored bytes."""
    name = info.orig_filename
    limit, shown = largest(name), repr(name if len(name) <= 80 else name[:40] + "..." + name[-30:])
    if limit is None:
        raise _Refused(f"holds {shown}, which no bundle has; do not trust it, give another")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _Refused(f"{shown} is no plain file, as all in a bundle are; give another")
    if info.file_size > limit:
        raise _Refused(
            f"{shown} says that it has {info.file_size:,} bytes, and may have {limit:,}; "
            "give another"
        )
    if info.flag_bits & 1 or info.compress_type != zipfile.ZIP_STORED:
        raise _Refused(
            f"{shown} is compressed or encrypted, as nothing in a bundle is; give the file as "
            "facefill wrote it"
        )
    if info.file_size != info.compress_size:
        raise _Refused(f"{shown} is damaged: its two sizes differ; {AGAIN}")


def _contents(data: bytes) -> dict[str, Any]:
    """What bundle.json says."""
    try:
        contents = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"{CONTENTS} is damaged: no JSON; {AGAIN}") from error
    found = contents if isinstance(contents, dict) else {}
    number, version = found.get("format"), found.get("facefill")
    if type(number) is int and number > FORMAT and isinstance(version, str):
        raise _Refused(
            f"made by facefill {version[:40]} with format {number}, and this one reads format "
            f"{FORMAT}; update facefill"
        )
    error = best_match(Draft202012Validator(SCHEMA).iter_errors(contents))
    if error:
        place = ".".join(map(str, error.absolute_path))
        place = f"{place}: " if place else ""
        raise _Refused(
            f"{CONTENTS} is not that of a bundle of facefill ({place}{error.message[:200]}); "
            "give another"
        )
    for method, settings in contents["methods"].items():
        if settings["kind"] == "external" or "command" in settings:
            raise _Refused(
                f"its method {method[:80]!r} starts a program, as nothing in a bundle may; do not "
                "trust it, give another"
            )
    return contents


def _same_members(names: list[str], contents: dict[str, Any]) -> None:
    """Refuse members that are missing, or that bundle.json does not know."""
    required = {name for name in OF_ALL if name != CONTENTS}
    required |= {of_model(m, file) for m in contents["models"] for file in (WEIGHTS, SETTINGS)}
    listed, there = set(contents["members"]), set(names) - {CONTENTS}
    absent = sorted((required | listed) - (there & listed))
    if absent:
        raise _Refused(f"{absent[0][:80]!r} is missing; {AGAIN}")
    owners = {name: name.split("/")[1] for name in there if name not in OF_ALL}
    for name in sorted(there):
        if name not in listed or (name in owners and owners[name] not in contents["models"]):
            raise _Refused(f"holds {name!r}, which its {CONTENTS} does not know; {AGAIN}")


def _own_settings(bundle: Bundle, model: str, settings: dict[str, Any]) -> None:
    """Refuse weights that are not those of the settings beside them."""
    beside = json.loads(bundle._read(of_model(model, SETTINGS)))
    header = _header(bundle._read(of_model(model, WEIGHTS)))
    inside = json.loads(header.get("__metadata__", {}).get("settings", "null"))
    if not beside == inside == settings:
        raise _Refused(
            f"{of_model(model, WEIGHTS)!r} has not the settings that {CONTENTS} says; {AGAIN}"
        )


# -- kinds of members --------------------------------------------------------------------------


def _header(weights: bytes) -> dict[str, Any]:
    """What a safetensors file says of itself, as JSON behind its length in eight bytes."""
    return json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])


def _is_weights(member: str, data: bytes) -> None:
    try:
        safetensors.deserialize(data)  # checks names, kinds and places of all tensors
    except safetensors.SafetensorError as error:
        raise _Refused(f"{member!r} holds no weights ({error}); {AGAIN}") from error


def _is_json(member: str, data: bytes) -> None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _Refused(f"{member!r} is no JSON; {AGAIN}")


def _is_text(member: str, data: bytes) -> None:
    try:
        good = "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        good = False
    if not good:
        raise _Refused(f"{member!r} is no text; {AGAIN}")


def _begins_with(*marks: bytes) -> Callable[[str, bytes], None]:
    def check(member: str, data: bytes) -> None:
        if not data.startswith(marks):
            raise _Refused(f"{member!r} is no picture of the kind that its name says; {AGAIN}")

    return check


# By the end of a member's name: raises _Refused unless it is what it is called.
KINDS: dict[str, Callable[[str, bytes], None]] = {
    ".safetensors": _is_weights,
    ".json": _is_json,
    ".png": _begins_with(b"\x89PNG\r\n\x1a\n"),
    ".gif": _begins_with(b"GIF87a", b"GIF89a"),
    ".csv": _is_text,
    ".md": _is_text,
    ".sha256": _is_text,
    "": _is_text,
}
