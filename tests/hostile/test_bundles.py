"""Bundles that were damaged on their way, that are none, or that mean harm: one line each."""

import json
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from archives import repeated, zip_of
from bundles import good, honest, members_of, with_contents, zipped
from facefill.bundle.read import open_bundle
from facefill.core.errors import FacefillError
from project import names

Members = dict[str, bytes]
WEIGHTS = "models/dcgan/weights.safetensors"


class Evil:
    """What a pickle may do to whoever loads it."""

    def __reduce__(self):
        return print, ("executed",)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def huge_header(members: Members) -> Members:
    """Weights whose header claims to have 2^62 bytes."""
    return members | {WEIGHTS: struct.pack("<Q", 2**62) + members[WEIGHTS][8:]}


def beyond(members: Members) -> Members:
    """Weights whose tensor says that it lies behind the end of the file."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    return members | {WEIGHTS: struct.pack("<Q", len(header)) + header}


def lying(data: bytes) -> bytes:
    """The sizes of the first member in the directory: 3 GB."""
    changed, place = bytearray(data), data.index(b"PK\1\2")
    struct.pack_into("<II", changed, place + 20, 3 * 2**30, 3 * 2**30)
    return bytes(changed)


def starts_a_program(members: Members) -> Members:
    return with_contents(members, methods={"ours": {"kind": "external", "command": "rm -rf ~"}})


@dataclass
class Case:
    """What is wrong with a bundle, how it becomes so, and what the user's line must hold."""

    what: str
    spoil: Callable[[Members], bytes]
    parts: list[str]


CASES = {
    "cut": Case(
        "a bundle that was cut on its way",
        lambda members: zipped(members)[:-1000],
        ["damaged, incomplete or no bundle at all", "get the bundle anew"],
    ),
    "text": Case(
        "a file that is no ZIP",
        lambda members: b"something else",
        ["no bundle at all (BadZipFile: File is not a zip file)"],
    ),
    "newer": Case(
        "a bundle of another version",
        lambda members: zipped(with_contents(members, format=2, facefill="9.1") | {"new": b""}),
        ["made by facefill 9.1 with format 2, and this one reads format 1; update facefill"],
    ),
    "pickle": Case(
        "a bundle with a pickle",
        lambda members: zipped(honest(members | {"models/dcgan/weights.pt": pickle.dumps(Evil())})),
        ["holds 'models/dcgan/weights.pt', which no bundle has; do not trust it"],
    ),
    "pickled weights": Case(
        "a pickle that is called weights.safetensors",
        lambda members: zipped(honest(members | {WEIGHTS: pickle.dumps(Evil())})),
        [f"'{WEIGHTS}' holds no weights"],
    ),
    "program": Case(
        "a method that starts a program",
        lambda members: zipped(starts_a_program(members)),
        ["its method 'ours' starts a program, as nothing in a bundle may; do not trust it"],
    ),
    "foreign": Case(
        "a ZIP of photos",
        lambda members: zip_of({"ann/1.jpg": b"", "ann/2.jpg": b""}),
        ["a ZIP without bundle.json, so no bundle of facefill (it has 'ann/1.jpg')"],
    ),
    "foreign json": Case(
        "another program's bundle.json",
        lambda members: zipped({"bundle.json": b'{"name": "web", "scripts": {}}'}),
        ["bundle.json is not that of a bundle of facefill", "is a required property"],
    ),
    "bomb": Case(
        "a bomb: 100 kB that unpack to 100 MB",
        lambda members: zip_of({"bundle.json": members["bundle.json"], WEIGHTS: bytes(10**8)}),
        ["is compressed or encrypted, as nothing in a bundle is"],
    ),
    "shared": Case(
        "a bomb: members that share their bytes",
        lambda members: repeated(zipped({"bundle.json": members["bundle.json"]}), 1000),
        ["holds 'bundle.json' more than once"],
    ),
    "size": Case(
        "a member that says that it has 3 GB",
        lambda members: lying(zipped(members)),
        ["'bundle.json' says that it has 3,221,225,472 bytes, and may have 1,048,576"],
    ),
    "parent": Case(
        "a member `../../evil.json`",
        lambda members: zipped(honest(members | {"../../evil.json": b"{}"})),
        ["holds '../../evil.json', which no bundle has; do not trust it"],
    ),
    "parent model": Case(
        "a model that is called `..`",
        lambda members: zipped(honest(members | {"models/../settings.json": b"{}"})),
        ["holds 'models/../settings.json', which no bundle has; do not trust it"],
    ),
    "absolute": Case(
        "a member with an absolute path",
        lambda members: zipped(honest(members | {"/etc/evil.json": b"{}"})),
        ["holds '/etc/evil.json', which no bundle has; do not trust it"],
    ),
    "link": Case(
        "a symbolic link in the place of the card",
        lambda members: zip_of(members, stat.S_IFLNK | 0o777, zipfile.ZIP_STORED),
        ["is no plain file, as all in a bundle are"],
    ),
    "missing": Case(
        "a bundle without its licence",
        lambda members: zipped(honest({k: v for k, v in members.items() if k != "LICENSE"})),
        ["'LICENSE' is missing; get the bundle anew"],
    ),
    "exchanged": Case(
        "another card than the bundle was made with",
        lambda members: zipped(members | {"CARD.md": b"# abc\n"}),
        ["'CARD.md' is damaged: not the bytes that bundle.json says"],
    ),
    "strangers": Case(
        "the weights of one model in the place of another's",
        lambda members: zipped(
            honest(members | {WEIGHTS: members["models/encoder/weights.safetensors"]})
        ),
        [f"'{WEIGHTS}' has not the settings that bundle.json says"],
    ),
    "stored byte": Case(
        "one damaged byte",
        lambda members: flipped(zipped(members), len(zipped(members)) // 2),
        ["damaged", "Bad CRC-32"],
    ),
    "header": Case(
        "weights whose header has an absurd size",
        lambda members: zipped(honest(huge_header(members))),
        [f"'{WEIGHTS}' holds no weights", "get the bundle anew"],
    ),
    "beyond": Case(
        "weights that say that they lie behind the end of their file",
        lambda members: zipped(honest(beyond(members))),
        [f"'{WEIGHTS}' holds no weights", "get the bundle anew"],
    ),
    "deep": Case(
        "a bundle.json of 100,000 brackets",
        lambda members: zipped(members | {"bundle.json": b"[" * 100_000}),
        ["bundle.json is damaged: no JSON; get the bundle anew"],
    ),
}


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> Members:
    return members_of(good(tmp_path_factory.mktemp("bundle")))


@pytest.mark.parametrize("key", CASES)
def test_a_bundle_is_refused(tmp_path, members, key, told, capsys):
    case, path = CASES[key], tmp_path / "bundle.zip"
    path.write_bytes(case.spoil(members))
    with pytest.raises(FacefillError) as refused:
        open_bundle(path)
    line = f"facefill: {refused.value}"
    names(line, str(path), *case.parts)
    assert line.isprintable() and len(line) < 600
    assert capsys.readouterr().out == ""  # nothing was executed
    assert [*tmp_path.iterdir()] == [path]
    told("bundles", case.what, line)
