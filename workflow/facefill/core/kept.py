"""Results of jobs, kept beside those in use, for a job that would compute the same again.

Snakemake repeats a job when one that it depends on has run, even where that one came out equal, and
deletes a job's files before it starts and when it fails. A job that finds its inputs, settings and
code as they were when its kept result was made takes that one: hard links, which cost no space
while both are the same.
"""

import json
import os
import shutil
from pathlib import Path

from facefill.core.files import sha256_path, write_bytes


class Kept:
    """The kept result of one job, in `folder`."""

    def __init__(self, folder: Path):
        self._folder, self._note = folder, folder / "result.json"

    def restore(self, key: str, outputs: dict[str, Path]) -> bool:
        """Put the files kept under `key` at `outputs`; say whether there were any, undamaged."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if note["key"] != key or note["sha256"].keys() != outputs.keys():
            return False
        for name, sha256 in note["sha256"].items():
            # A file that somebody has edited in place is the kept one, too.
            if not (self._folder / name).exists() or sha256_path(self._folder / name) != sha256:
                return False
        try:
            for name, path in outputs.items():
                link(self._folder / name, path)
        except OSError:  # a full disk: the job itself says so
            for path in outputs.values():
                _remove(path)
            return False
        return True

    def keep(self, key: str, outputs: dict[str, Path]) -> None:
        """Keep what lies at `outputs` under `key`, in place of what was kept before.

        A disk on which it cannot be kept only makes the job run again.
        """
        try:
            _remove(self._folder)
            self._folder.mkdir(parents=True)
            sha256 = {name: sha256_path(path) for name, path in outputs.items()}
            for name, path in outputs.items():
                link(path, self._folder / name)
            # The note last: without it nothing is kept.
            write_bytes(self._note, json.dumps({"key": key, "sha256": sha256}).encode())
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)  # what there is of it takes space


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Make `target` the same files as `source`, or copies where the disk has no hard links."""
    _remove(target)  # never written into: it may be a link to a file in use
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # Snakemake's own file gives a folder its date: each folder needs one of its own.
        without = shutil.ignore_patterns(".snakemake_timestamp")
        shutil.copytree(source, target, copy_function=_link_file, ignore=without)
    else:
        _link_file(source, target)


def _link_file(source: Path | str, target: Path | str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
