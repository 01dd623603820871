"""Flatten: one folder of faces with telling names, and the record of every raw image."""

import csv
import io
import logging
import re
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from facefill.align import COLUMNS, GEOMETRY_COLUMNS, member
from facefill.core.errors import FacefillError
from facefill.core.files import atomic_folder, csv_rows, read_table, sha256_bytes, sha256_text
from facefill.core.images import contact_sheet, write_png

MANIFEST_COLUMNS = ["source", "identity", "status", "detail", "face", "sha256"]
MAX_NAME = 120  # bytes
SUFFIX_DIGITS = (0, 8, 16, 64)  # tried in turn while a name is taken
SHEET_FACES = 100
SET_ASIDE = 0.2  # a larger share of photos without a face is worth a warning

log = logging.getLogger(__name__)


@dataclass
class _Row:
    """One raw image; `geometry` its numbers as align wrote them, joined: short of memory."""

    source: str
    identity: str
    sha256: str = ""
    status: str = ""
    detail: str = ""
    geometry: str = ""
    archive: Path | None = None


def flatten(
    index: Path | str,
    tables: Sequence[Path | str],
    archives: Sequence[Path | str],
    faces: Path | str,
    manifest: Path | str,
    geometry: Path | str,
    sheet: Path | str,
) -> int:
    """Bring the shards of align together; return the number of faces.

    `tables` and `archives` are what align_shard wrote, in the same order; `index` names every
    raw image and its person. `faces` becomes a folder of {face}.png, `manifest` a CSV of
    MANIFEST_COLUMNS with a row per raw image, `geometry` one of `face` and GEOMETRY_COLUMNS,
    `sheet` a PNG of random faces. Of photos with equal bytes only the first is kept. Raises
    FacefillError when the shards are not those of the index, or no photo has a usable face.
    """
    rows = _read_rows(index, list(map(Path, tables)), list(map(Path, archives)))
    _mark_duplicates(rows)
    kept = {row.source: row for row in rows if row.status == "aligned"}
    counts = Counter(row.status for row in rows)
    if not kept:
        raise FacefillError(_nothing_left(rows, counts))
    if len(kept) < (1 - SET_ASIDE) * len(rows):
        share = f"{len(rows) - len(kept)} of {len(rows)} photos"
        log.warning("%s have no usable face (%s); the manifest says why", share, _listed(counts))
    names = face_names({row.source: row.identity for row in kept.values()})

    checksums = _write_faces(Path(faces), kept, names)
    with csv_rows(manifest) as lines:
        lines.writerow(MANIFEST_COLUMNS)
        for row in rows:
            name = names.get(row.source, "")
            cells = row.source, row.identity, row.status, row.detail, name
            lines.writerow([*cells, checksums.get(name, "")])
    with csv_rows(geometry) as lines:
        lines.writerow(["face", *GEOMETRY_COLUMNS])
        for name, source in sorted((name, source) for source, name in names.items()):
            lines.writerow([name, *kept[source].geometry.split(",")])
    _write_sheet(sheet, Path(faces), sorted(names.values()))
    return len(kept)


def face_names(people: Mapping[str, str]) -> dict[str, str]:
    """Name the face of every source, given its identity: `{identity}__{stem}`.

    Names consist of [A-Za-z0-9._-], have at most MAX_NAME bytes, no leading dot, and differ in
    more than case. A name that was shortened or changed for that, and every name of a group that
    would be equal, ends in hex digits of sha256(source); the order of `people` plays no part.
    """
    plain = {}
    level = {}  # place in SUFFIX_DIGITS
    for source, identity in people.items():
        wanted = f"{identity}__{PurePosixPath(source).stem}"
        plain[source] = _safe(wanted)
        level[source] = int(plain[source] != wanted or len(wanted) > MAX_NAME)
    while True:
        names = {source: _suffixed(plain[source], source, level[source]) for source in people}
        groups = defaultdict(list)
        for source, name in names.items():
            groups[name.casefold()].append(source)
        taken = [source for group in groups.values() if len(group) > 1 for source in group]
        if not taken:
            return names
        for source in taken:
            level[source] = min(level[source] + 1, len(SUFFIX_DIGITS) - 1)


def _safe(text: str) -> str:
    """Drop accents, put a dash for every run of other unsafe characters."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(character for character in text if not unicodedata.combining(character))
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip(".")


def _suffixed(plain: str, source: str, level: int) -> str:
    if level == 0:
        return plain
    suffix = "-" + sha256_text(source)[: SUFFIX_DIGITS[level]]
    return plain[: MAX_NAME - len(suffix)] + suffix


def _read_rows(index: Path | str, tables: list[Path], archives: list[Path]) -> list[_Row]:
    """One row per raw image in the order of the index, filled from the shards."""
    listed = read_table(index, ["source", "identity", "sha256"], ["source", "identity", "sha256"])
    columns = (listed[name] for name in ("source", "identity", "sha256"))
    rows = {cells[0]: _Row(*cells) for cells in zip(*columns, strict=True)}
    for table, archive in zip(tables, archives, strict=True):
        for source, sha256, status, detail, *numbers in _read_shard(table):
            row = rows.get(source)
            if row is None or row.status or row.sha256 != sha256:
                raise _not_of_one_run(table.parent, source)
            row.status, row.detail, row.archive = status, detail, archive
            row.geometry = ",".join(numbers)
    for row in rows.values():
        if not row.status:
            raise _not_of_one_run(tables[0].parent, row.source)
    return list(rows.values())


def _read_shard(table: Path) -> Iterator[list[str]]:
    with open(table, encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file)
        try:
            if next(lines, None) != COLUMNS:
                complaint = "not a table of aligned photos; delete it and run again"
                raise FacefillError(f"{table}: {complaint}")
            for line in lines:
                if len(line) != len(COLUMNS):
                    raise csv.Error(f"{len(line)} cells")
                yield line
        except csv.Error as error:
            raise FacefillError(
                f"{table}: line {lines.line_num} is damaged ({error}); delete it and run again"
            ) from error


def _not_of_one_run(folder: Path, source: str) -> FacefillError:
    return FacefillError(
        f"{folder}: what is aligned there for {source!r} does not belong to the photos as they "
        "are now; delete the folder and run again"
    )


def _mark_duplicates(rows: list[_Row]) -> None:
    """Keep the first by source of aligned photos with equal bytes."""
    first: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.source):
        if row.status == "aligned":
            original = first.setdefault(row.sha256, row.source)
            if original != row.source:
                row.status, row.detail = "duplicate", f"same file as {original}"


def _nothing_left(rows: list[_Row], counts: Counter) -> str:
    if not counts:
        return "no photos were found: check the dataset's folder or archive"
    remedies = {
        "no_face": "use photos with frontal faces of at least 80 pixels",
        "several_faces": "set align.several_faces to largest",
        "unreadable": "check that the files are photos",
        "too_small": "use larger photos",
        "too_large": "raise align.max_pixels",
        "not_a_file": "check the links and special files in the folder",
        "unreachable": "check the permissions and links in the folder",
    }
    worst = max(sorted(counts), key=counts.__getitem__)
    example = next(row for row in rows if row.status == worst)
    reason = f" ({example.source!r}: {example.detail})" if example.detail else ""
    none = f"none of {counts.total()} photos has a usable face ({_listed(counts)})"
    return f"{none}: {remedies[worst]}{reason}"


def _listed(counts: Counter) -> str:
    return ", ".join(f"{key} {counts[key]}" for key in sorted(counts) if key != "aligned")


def _write_faces(faces: Path, kept: Mapping[str, _Row], names: Mapping[str, str]) -> dict[str, str]:
    """Write {face}.png for every kept row; return the checksums by name. The folder comes whole."""
    by_archive = defaultdict(list)
    for row in kept.values():
        by_archive[row.archive].append(row.source)
    checksums = {}
    with atomic_folder(faces) as folder:
        for path, sources in by_archive.items():
            for source, png in _read_faces(path, sources):
                checksums[names[source]] = sha256_bytes(png)
                (folder / f"{names[source]}.png").write_bytes(png)
    return checksums


def _read_faces(path: Path, sources: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for source in sources:
                yield source, archive.read(member(source))
    except Exception as error:  # zipfile raises nearly every type on a damaged archive
        raise FacefillError(f"{path}: damaged ({error}); delete the file and run again") from error


def _write_sheet(sheet: Path | str, faces: Path, names: list[str]) -> None:
    chosen = np.random.default_rng(0).permutation(len(names))[:SHEET_FACES]
    pictures = [
        np.asarray(Image.open(io.BytesIO((faces / f"{names[number]}.png").read_bytes())))
        for number in chosen
    ]
    write_png(sheet, contact_sheet(np.stack(pictures), columns=min(10, len(pictures))))
