"""Listings of the photos of each shard, so that its job neither walks the tree nor reads twice.

Whoever plans the workflow walks and hashes a folder's photos anyway, and writes them down in a
folder of listings. A job finds its own under the digest of its content: one that has been replaced
by then, or is damaged, is not found, and the job walks. Processes that only carry out a job take
the digests that were planned with. The folder may be lost, damaged or read-only.
"""

import os
from contextlib import suppress
from pathlib import Path

from facefill.core.checksums import read_json, write_json
from facefill.core.photos import digest, shard_of

DIGESTS = "digests.json"

Digests = tuple[str, list[str]]  # of all photos, and of those of each shard


def write_listings(folder: Path | str, root: str, hashes: dict[str, str], shards: int) -> Digests:
    """List the photos below `root`, {source: sha256 or status}, by shard; return their digests.

    Listings of other photos are deleted: those of one data set are of no use to another run.
    """
    parts: list[dict[str, str]] = [{} for _ in range(shards)]
    for source, sha256 in hashes.items():
        parts[shard_of(source, shards)][source] = sha256
    digests = digest(hashes.items()), [digest(part.items()) for part in parts]
    facts = {"root": root, "all": digests[0], "shards": digests[1]}
    names = {DIGESTS, *map(_name, digests[1])}
    there = set(_names(folder))
    if names <= there and read_json(_join(folder, DIGESTS)) == facts:
        return digests
    for content, part in zip(digests[1], parts, strict=True):
        write_json(_join(folder, _name(content)), part)
    write_json(_join(folder, DIGESTS), facts)  # the last: where it is, all are
    for name in there - names:
        with suppress(OSError):
            os.unlink(_join(folder, name))
    return digests


def planned_digests(folder: Path | str, root: str, shards: int) -> Digests | None:
    """The digests that were last written for `root`; None where there are none."""
    facts = read_json(_join(folder, DIGESTS))
    try:
        if facts["root"] == root and len(facts["shards"]) == shards:
            return facts["all"], facts["shards"]
    except (TypeError, KeyError):
        pass
    return None


def read_listing(folder: Path | str, content: str) -> dict[str, str] | None:
    """{source: sha256 or status} of the photos whose digest is `content`, or None."""
    listed = read_json(_join(folder, _name(content)))
    try:
        return listed if digest(listed.items()) == content else None
    except (TypeError, AttributeError):
        return None


def _name(content: str) -> str:
    return f"{content}.json"


def _join(folder: Path | str, name: str) -> str:
    return os.path.join(folder, name)


def _names(folder: Path | str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
