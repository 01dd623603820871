"""The stage restore: from a folder of photographs with holes to photographs without."""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from facefill.align import Aligner
from facefill.core.files import (
    atomic_folder,
    csv_rows,
    read_json,
    sha256_bytes,
    sha256_file,
    sha256_text,
)
from facefill.core.kept import link
from facefill.core.progress import progress
from facefill.methods import BATCH
from facefill.restore.finder import Found, read_faces
from facefill.restore.page import Restored, safe, write_page
from facefill.restore.photographs import Photograph, find_photographs
from facefill.restore.restorer import (
    FACTS,
    ODD,
    RESTORED,
    Damage,
    Restorer,
    SetAside,
    Settings,
)

COLUMNS = ["photo", "face", "method", "status", "detail", "detector", "scale", "share"]
SUMS = "sha256.json"  # the checksums of what is kept of a photograph
PIXELS = 30_000_000  # of photographs in memory at a time

log = logging.getLogger(__name__)


def restore_set(
    root: Path,
    content: str,
    table: Path | None,
    settings: Settings,
    aligner: Aligner,
    *,
    title: str,
    folder: Path,
    templates: Path,
    kept: Path,
    key: str,
) -> int:
    """Restore the photographs below `root`; return their number.

    `content` is the digest of the files there (`find_photographs`), `table` the user's table of
    faces, `title` the page's. `folder` receives photos/, faces/, page/, manifest.csv, overview.png,
    index.html and paint.html; `templates` is the folder of the last two's templates. What became of
    a photograph stays in the folder `kept` until another `key`, photograph or mask asks for
    something else, so that only what changed is restored again. Raises FacefillError when there are
    no photographs, one changes meanwhile, or the table of faces or a model is damaged.
    """
    photographs = find_photographs(root, content)
    restorer = Restorer(settings, aligner, read_faces(table, aligner) if table else {})
    folders = {}
    for photograph in photographs:
        found = restorer.by_hand.get(photograph.photo.source)
        folders[photograph] = kept / _digest(key, photograph, found)
    for source in sorted(restorer.by_hand.keys() - {each.photo.source for each in photographs}):
        log.warning("%s: names %r, which is no photograph of the set", table, source)
    missing = [photograph for photograph in photographs if not _is_whole(folders[photograph])]
    log.info("%d photographs, %d of them to be restored", len(photographs), len(missing))
    with progress(len(missing), "restore", "photos") as bar:
        for batch in _batches(restorer, missing):
            for photograph, files in _restored(restorer, batch).items():
                _keep(folders[photograph], files)
                bar.update()
    _forget(kept, folders.values())
    restored, rows = _gather(folders, settings.methods, folder)
    manifest = folder / "manifest.csv"
    with csv_rows(manifest) as lines:
        lines.writerow(COLUMNS)
        lines.writerows([row.get(column, "") for column in COLUMNS] for row in rows)
    set_aside = [row for row in rows if row["status"] != RESTORED]
    page = templates / "restored.html.j2"
    write_page(folder, title, restored, set_aside, page, aligner.size)
    shutil.copyfile(templates / "paint.html", folder / "paint.html")
    for row in set_aside:
        log.info("%s: %s (%s)", row["photo"], row["status"], row["detail"])
    if set_aside:
        counts = Counter(row["status"] for row in set_aside)
        listed = ", ".join(f"{status} {count}" for status, count in sorted(counts.items()))
        log.warning(
            "%d of %d photographs are set aside (%s); %s says why",
            *(len(set_aside), len(photographs), listed, manifest),
        )
    return len(photographs)


Batch = dict[Photograph, Damage | SetAside]  # photographs with what is found in them


def _batches(restorer: Restorer, photographs: Iterable[Photograph]) -> Iterator[Batch]:
    """As many photographs as have the faces that networks take at a time.

    Fewer where their pixels would fill the memory.
    """
    batch, faces, pixels = {}, 0, 0
    for photograph in photographs:
        try:
            batch[photograph] = damage = restorer.examine(photograph)
            faces += len(damage.found)
            pixels += damage.known.size
        except SetAside as reason:
            batch[photograph] = reason
        if faces >= BATCH or pixels >= PIXELS:
            yield batch
            batch, faces, pixels = {}, 0, 0
    if batch:
        yield batch


def _restored(restorer: Restorer, batch: Batch) -> dict[Photograph, dict[str, bytes]]:
    """Restore the photographs of a batch; return the files that are kept of each."""
    damages = [damage for damage in batch.values() if isinstance(damage, Damage)]
    files: dict[Photograph, dict[str, bytes]] = {}
    if damages:
        damages = restorer.refine(damages)
        completed = restorer.complete(damages, restorer.settings.methods)
        for damage, faces in zip(damages, completed, strict=True):
            try:
                files[damage.photograph] = restorer.fill(damage, faces)
            except ODD as error:
                batch[damage.photograph] = SetAside.by(error)
    for photograph, reason in batch.items():
        if isinstance(reason, SetAside):
            files[photograph] = {FACTS: json.dumps({"rows": [reason.row]}).encode()}
    return files


def _digest(key: str, photograph: Photograph, by_hand: list[Found] | None) -> str:
    """All that decides what becomes of a photograph."""
    photo = photograph.photo
    own = [photograph.sha256, photograph.mask_sha256, photo.status, photo.detail, repr(by_hand)]
    return sha256_text("\n".join([key, *own]))


def _is_whole(folder: Path) -> bool:
    """Whether all that was kept of a photograph is there, as it was: it may have been edited."""
    try:
        sums = json.loads((folder / SUMS).read_text(encoding="utf-8"))
        return all(sha256_file(folder / name) == sha256 for name, sha256 in sums.items())
    except (OSError, ValueError):
        return False


def _keep(folder: Path, files: Mapping[str, bytes]) -> None:
    """Keep the files of a photograph with their checksums."""
    sums = {name: sha256_bytes(data) for name, data in files.items()}
    files = {**files, SUMS: json.dumps(sums).encode()}
    with atomic_folder(folder) as partial:
        for name, data in files.items():
            file = partial / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def _forget(kept: Path, wanted: Iterable[Path]) -> None:
    """Delete what is kept of photographs that are gone or have changed."""
    wanted = set(wanted)
    for folder in kept.iterdir():
        if folder not in wanted:
            shutil.rmtree(folder)


def _gather(
    folders: Mapping[Photograph, Path], methods: Sequence[str], target: Path
) -> tuple[list[Restored], list[dict[str, Any]]]:
    """Link the pictures of all photographs to their names; return what page and manifest show.

    With several methods each has a folder of its own within photos and faces.
    """
    restored, every = [], []
    with (
        atomic_folder(target / "photos") as photos,
        atomic_folder(target / "faces") as faces,
        atomic_folder(target / "page") as page,
    ):
        for number, (photograph, folder) in enumerate(folders.items(), 1):
            source = photograph.photo.source
            facts = read_json(folder / FACTS, f"damaged; delete {folder} and run again")
            rows = [{"photo": source} | row for row in facts["rows"]]
            every += rows
            if rows[0]["status"] != RESTORED:
                continue
            shown = f"{number:04}-{safe(source)}."
            names = {
                method: photograph.name if len(methods) == 1 else f"{method}/{photograph.name}"
                for method in methods
            }
            for method, suffix in facts["suffixes"].items():
                link(folder / "photo" / method, photos / f"{names[method]}{suffix}")
            for row in rows:
                method, end = row["method"], f"--{row['face']}.png"
                link(folder / "face" / f"{method}{end}", faces / f"{names[method]}{end}")
            for file in sorted((folder / "page").iterdir()):
                link(file, page / f"{shown}{file.name}")
            sides = facts["width"], facts["height"], facts["hidden"]
            restored.append(Restored(source, shown, rows, *sides))
    return restored, every
