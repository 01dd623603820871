"""Checksums of files that lie outside results/, remembered from run to run.

Snakemake asks for them whenever it parses, so a file is read again only when its size, times or
inode differ. A date of its own decides nothing.
"""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from facefill.core.files import sha256_file, write_bytes

RACY_NS = 2_000_000_000  # a file that changes twice within one tick of the clock keeps its times


class Checksums:
    """SHA-256 of files. `cache` is a file that may be lost, damaged or read-only."""

    def __init__(self, cache: Path):
        self._cache, self._known, self._changed = cache, {}, False
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(cache.read_text(encoding="utf-8")))

    def sha256(self, path: Path | str) -> str:
        """Return the checksum of a file in hexadecimal. Raises OSError when it cannot be read."""
        key, stat = os.path.realpath(path), os.stat(path)
        stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
        if self._known.get(key, [None])[0] != stamp:
            self._known[key] = [stamp, sha256_file(path)]
            self._changed = True
            if stat.st_ctime_ns > time.time_ns() - RACY_NS:
                return self._known.pop(key)[1]
        return self._known[key][1]

    def save(self) -> None:
        """Write the cache if anything is new."""
        if self._changed:
            with suppress(OSError):
                write_bytes(self._cache, json.dumps(self._known).encode())
