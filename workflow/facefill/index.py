"""The list of all raw photos: who is in them, how large they are, what they contain."""

import csv
import posixpath
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from facefill.core.errors import FacefillError
from facefill.core.photos import SUFFIXES, Photo, digest, find_photos, read_digests


def index_photos(
    root: Path | str,
    identity: str | dict[str, str],
    strip: bool = False,
    expected: str | None = None,
) -> pd.DataFrame:
    """Read all photos below `root`; return `source,identity,bytes,sha256`, sorted by source.

    `identity` is "folder", "file" or {"table": path relative to `root`, or absolute}; `strip`
    drops from "folder" what all photos share, as the top folder of an archive. Photos
    that cannot be read have neither bytes nor sha256. `expected` is the digest the photos must
    have (facefill.core.photos.digest), None for any. Raises FacefillError when there are no photos,
    when the table does not name a photo's person, or when the digest differs.
    """
    photos = find_photos(root)
    if not photos:
        raise FacefillError(
            f"{root}: no photos in this folder or below it; expected files that end in"
            f" {' '.join(sorted(SUFFIXES))}; put photos there or correct the dataset's path"
        )
    identities = _identities(photos, Path(root), identity, strip)
    contents = list(read_digests(photos))
    if expected is not None and expected != digest(
        (photo.source, sha256) for photo, (_, sha256) in zip(photos, contents, strict=True)
    ):
        raise FacefillError(f"{root}: photos changed while they were being read; run again")
    columns = {
        "source": [photo.source for photo in photos],
        "identity": identities,
        "bytes": pd.array([size for size, _ in contents], dtype="Int64"),
        "sha256": ["" if size is None else sha256 for size, sha256 in contents],
    }
    return pd.DataFrame(columns)


def _identities(
    photos: list[Photo], root: Path, identity: str | dict[str, str], strip: bool
) -> list[str]:
    if identity == "folder":
        folders = [posixpath.dirname(photo.source) or "." for photo in photos]
        return strip_common_folder(folders) if strip else folders
    if identity == "file":
        return [posixpath.splitext(photo.source)[0] for photo in photos]
    return identities_from_table(photos, root / identity["table"])


def strip_common_folder(folders: list[str]) -> list[str]:
    """Drop the leading folders that all share, as archives have; each keeps its last one."""
    parts = [folder.split("/") for folder in folders]
    # What the first and the last in order share, all between them share.
    first, last = min(parts), max(parts)
    common = 0
    while common < min(len(first), len(last)) and first[common] == last[common]:
        common += 1
    common = min(common, min(map(len, parts)) - 1)
    return ["/".join(part[common:]) for part in parts]


def identities_from_table(photos: list[Photo], table: Path) -> list[str]:
    """Look up the person of every photo in a file of photo and person.

    The file is CSV, TSV or text with blanks between its two columns, with or without a header.
    A photo is named by its source or, where only one has it, by its bare file name. A photo
    that cannot be read may be missing: its person is then "". Raises FacefillError for a
    line that is not clear and for a photo that is missing.
    """
    people = _read_people(table)
    used: dict[str, str] = {}
    identities = []
    for photo in photos:
        bare = posixpath.basename(photo.source)
        name = photo.source if photo.source in people else bare
        if name not in people:
            if photo.status:
                identities.append("")
                continue
            raise FacefillError(
                f"{table}: no line for the photo {photo.source!r}; add '{photo.source},PERSON'"
                " or remove the photo"
            )
        if name in used:
            raise FacefillError(
                f"{table}: {name!r} could be {used[name]!r} or {photo.source!r}; name both in full"
            )
        used[name] = photo.source
        identities.append(people[name][0])
    return identities


def _read_people(table: Path) -> dict[str, tuple[str, int]]:
    """Return {photo: (person, line number)}."""
    people: dict[str, tuple[str, int]] = {}
    for row, (number, fields) in enumerate(_rows(table)):
        if len(fields) != 2 or not all(fields):
            raise FacefillError(
                f"{table}: line {number} has the columns {fields}; expected two, photo and person,"
                " as CSV (quote a name that has a comma), TSV, or with blanks between"
            )
        name, person = fields
        if row == 0 and posixpath.splitext(name)[1].lower() not in SUFFIXES:
            continue  # a header
        name = posixpath.normpath(name)
        if people.setdefault(name, (person, number))[0] != person:
            raise FacefillError(
                f"{table}: lines {people[name][1]} and {number} give {name!r} to two people;"
                " remove one of them"
            )
    return people


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields); the first line shows what lies between the columns."""
    try:
        with open(table, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = next((mark for mark in "\t," if mark in first), None)
            if delimiter is None:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield number, line.split()
                return
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                if row:
                    yield reader.line_num, [field.strip() for field in row]
    except (OSError, csv.Error) as error:
        raise FacefillError(
            f"{table}: not a readable table of photo and person ({error}); correct the file or"
            " the dataset's identity.table"
        ) from error
