"""Checksums of files that lie outside results/, remembered from run to run.

Snakemake asks for them whenever it parses, so a file is read again only when its size, times or
inode differ. A date of its own decides nothing.
"""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from facefill.core.files import own_suffix, sha256_file

# A file that changes twice within one tick of the clock shows the same times both times.
RACY_NS = 2_000_000_000

log = logging.getLogger(__name__)

Cache = dict[str, tuple[str, str]]  # by path: stamp, and checksum or another word


class Checksums:
    """SHA-256 of files. `cache` is a file that may be lost, damaged or read-only."""

    def __init__(self, cache: Path):
        self._file, self._known = cache, read_cache(cache)
        self._before = dict(self._known)

    def sha256(self, path: Path | str) -> str:
        """Return the checksum of a file in hexadecimal. Raises OSError when it cannot be read."""
        key, stat = os.path.realpath(path), os.stat(path)
        known = self._known.get(key)
        if known and known[0] == stamp(stat):
            return known[1]
        sha256 = sha256_file(path)
        if is_settled(stat):
            self._known[key] = (stamp(stat), sha256)
        return sha256

    def save(self) -> None:
        """Write the cache if anything is new."""
        if self._known != self._before:
            write_json(self._file, self._known)


def stamp(stat: os.stat_result) -> str:
    """What tells an edit; the change time (ctime) reveals one whose date was set back."""
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def is_settled(stat: os.stat_result) -> bool:
    """Whether a file's next change will show in its stamp."""
    return stat.st_ctime_ns < time.time_ns() - RACY_NS


def read_cache(file: Path | str) -> Cache:
    try:
        return {key: (stamp, sha256) for key, (stamp, sha256) in read_json(file).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def read_json(file: Path | str) -> Any:
    """Return what `write_json` wrote, None where there is nothing that can be read."""
    try:
        with open(file, encoding="ascii") as opened:
            return json.load(opened)
    except (OSError, ValueError, RecursionError):
        return None


def write_json(file: Path | str, content: Any) -> None:
    """Write a file that may as well be missing, as on a full or a read-only disk."""
    # Not facefill.core.files.atomic: two workflows may write this file at the same time.
    partial = f"{file}.partial-{own_suffix()}"
    try:
        os.makedirs(os.path.dirname(os.path.abspath(file)), exist_ok=True)
        with open(partial, "w", encoding="ascii") as opened:
            opened.write(json.dumps(content))
        os.replace(partial, file)
    except OSError as error:
        log.info("%s: not written (%s)", file, error.strerror)
