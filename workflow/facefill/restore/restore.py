"""The stage restore: from a folder of photographs with holes to photographs without."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facefill.align import Aligner, warp
from facefill.complete import lay_in
from facefill.core.errors import FacefillError
from facefill.core.files import atomic_folder, csv_rows, read_json, sha256_bytes, sha256_text
from facefill.core.images import TooLargeImage, UnreadableImage, png_bytes
from facefill.core.masking import Masks, make_masks, observe
from facefill.core.photos import UNREACHABLE, Photo, open_photo
from facefill.core.progress import progress
from facefill.methods import BATCH
from facefill.parts import Faces, Part, complete
from facefill.restore.finder import FaceFinder, Found, read_faces
from facefill.restore.holes import NoHole, find_hole
from facefill.restore.original import Original, open_original
from facefill.restore.page import Shown, picture_files, write_page
from facefill.restore.photographs import Photograph, find_photographs
from facefill.restore.place import Placed, face_known, lay_back, photo_known

COLUMNS = ["photo", "face", "method", "status", "detail", "detector", "scale", "share"]
RESTORED = "restored"
LEAST_KNOWN = 0.05  # of a face; with less, a method has nothing to go by
PIXELS = 30_000_000  # of photographs in memory at a time
FACTS, PHOTO = "facts.json", "photo"  # files kept of a photograph

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the photographs of a set are restored."""

    hole: str  # one of settings.HOLES, or the name of `mask`
    mask: dict[str, Any] | None  # settings of a mask that is laid on every face
    format: str
    grain: bool
    methods: Mapping[str, Part]
    zoom: float
    seed: int
    device: str
    train: np.ndarray | None = None  # uint8 [N, size, size, 3], where a method needs them


@dataclass(frozen=True)
class Damage:
    """A photograph, its hole, and those of its faces that the hole touches."""

    original: Original
    known: np.ndarray  # bool [height, width]
    how: str  # what marks the hole
    found: list[Found]
    faces: Faces  # all that may be known of them


class SetAside(Exception):
    """A photograph that is not restored; `status` stands in the manifest."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status


class Restorer:
    """Restores photographs, each by itself: nothing depends on what else is in the set."""

    def __init__(self, settings: Settings, aligner: Aligner, by_hand: Mapping[str, list[Found]]):
        """`by_hand` are the faces that the user names, by photograph."""
        self.settings = settings
        self.aligner = aligner
        self.by_hand = by_hand
        self.finder = FaceFinder(aligner)

    def examine(self, photograph: Photograph) -> Damage:
        """Find the hole and the faces. Raises SetAside."""
        settings, photo = self.settings, photograph.photo
        if photo.status:
            raise SetAside(photo.status, photo.detail)
        try:
            original = open_original(_read(photo, photograph.sha256), self.aligner.max_pixels)
            mask = photograph.mask and _read(photograph.mask, photograph.mask_sha256)
            if settings.mask is not None:
                return self._laid_on(photograph, original)
            known, how = find_hole(original, mask, settings.hole)
            found = self._find(photograph, original, known)
            return self._touched(photograph, original, known, how, found)
        except TooLargeImage as error:
            raise SetAside("too_large", str(error)) from error
        except UnreadableImage as error:
            raise SetAside("unreadable", str(error)) from error
        except NoHole as error:
            raise SetAside(error.status, str(error)) from error
        except (cv2.error, MemoryError) as error:  # what one odd photo can cause
            raise SetAside("unreadable", f"{type(error).__name__}: {error}") from error

    def _find(
        self, photograph: Photograph, original: Original, known: np.ndarray
    ) -> list[Found]:
        named = self.by_hand.get(photograph.photo.source)
        found = self.finder(original.pixels, known) if named is None else named
        if not found:
            raise SetAside(
                "no_face", "no face is found; name its place in faces.csv (docs/guide.md)"
            )
        return found

    def _laid_on(self, photograph: Photograph, original: Original) -> Damage:
        """A mask of the configuration, on every face of the photograph."""
        everything = np.ones(original.pixels.shape[:2], bool)
        found = self._find(photograph, original, everything)
        names, size = _names(photograph, found), self.aligner.size
        masks = make_masks(self.settings.mask, names, size, self.settings.zoom)
        crops = np.stack([warp(original.pixels, face.matrix, size) for face in found])
        known = everything
        for face, of_face in zip(found, masks.known, strict=True):
            known = known & photo_known(known.shape, face.matrix, of_face)
        faces = Faces(names, observe(crops, masks), masks)
        return Damage(original, known, self.settings.hole, found, faces)

    def _touched(
        self,
        photograph: Photograph,
        original: Original,
        known: np.ndarray,
        how: str,
        found: list[Found],
    ) -> Damage:
        size = self.aligner.size
        seen = [face_known(known, face.matrix, size) for face in found]
        touched = [
            (face, of_face)
            for face, of_face in zip(found, seen, strict=True)
            if not of_face.all() and of_face.mean() >= LEAST_KNOWN
        ]
        if not touched:
            faces = "the face" if len(found) == 1 else f"any of the {len(found)} faces"
            whole = [of_face for of_face in seen if not of_face.all()]
            raise SetAside(
                "no_face",
                "the hole hides the whole face" if whole else f"the hole does not touch {faces}",
            )
        found, seen = map(list, zip(*touched, strict=True))
        masks = Masks(np.stack(seen))
        crops = np.stack([warp(original.pixels, face.matrix, size) for face in found])
        faces = Faces(_names(photograph, found), observe(crops, masks), masks)
        return Damage(original, known, how, found, faces)

    def complete(self, damages: list[Damage]) -> list[dict[str, np.ndarray]]:
        """Complete the faces of several photographs at once: by method, uint8 [N, size, size, 3]."""
        settings = self.settings
        faces = Faces(
            [name for damage in damages for name in damage.faces.names],
            np.concatenate([damage.faces.observed for damage in damages]),
            Masks(
                np.concatenate([damage.faces.masks.known for damage in damages]),
                damages[0].faces.masks.block,
            ),
        )
        ends = np.cumsum([len(damage.found) for damage in damages])[:-1]
        completed: list[dict[str, np.ndarray]] = [{} for _ in damages]
        for method, part in settings.methods.items():
            result = complete(
                part, faces, train=settings.train, seed=settings.seed, device=settings.device
            )
            filled = lay_in(faces.observed, faces.masks.known, result.faces)
            for of_photo, each in zip(completed, np.split(filled, ends), strict=True):
                of_photo[method] = each
        return completed

    def fill(
        self, photograph: Photograph, damage: Damage, completed: Mapping[str, np.ndarray]
    ) -> dict[str, bytes]:
        """Lay the completed faces into their photograph; return the files that stay of it."""
        original, known = damage.original, damage.known
        grain = int(photograph.sha256[:8], 16) if self.settings.grain else None
        details = [f"hole: {damage.how}", original.note]
        files, rows, suffixes = {}, [], {}
        for method, faces in completed.items():
            placed = [Placed(f.matrix, face) for f, face in zip(damage.found, faces, strict=True)]
            filled, filled_by = lay_back(original.pixels, known, placed, grain)
            data, suffixes[method] = original.encode(filled, known, self.settings.format)
            files[f"{method}/photo"] = data
            for number, (found, face) in enumerate(zip(damage.found, faces, strict=True), 1):
                files[f"{method}/face{number}.png"] = png_bytes(face)
                share = (filled_by == number - 1).sum() / (~known).sum()
                scale = abs(np.linalg.det(found.matrix[:, :2])) ** -0.5
                rows.append(
                    {
                        "face": number,
                        "method": method,
                        "status": RESTORED,
                        "detail": "; ".join(filter(None, details)),
                        "detector": found.detector,
                        "scale": f"{scale:.3f}",
                        "share": f"{share:.4f}",
                    }
                )
            shown = Shown(original.pixels, filled, known)
            files |= {f"{method}/page/{name}": data for name, data in picture_files(shown).items()}
        facts = {"rows": rows, "suffixes": suffixes}
        return files | {"facts.json": json.dumps(facts).encode()}


def restore_set(
    root: Path,
    content: str,
    table: Path | None,
    settings: Settings,
    aligner: Aligner,
    *,
    outputs: Mapping[str, Path],
    templates: Path,
    kept: Path,
    key: str,
) -> int:
    """Restore the photographs below `root`; return their number.

    `content` is the digest of the files there (`find_photographs`), `table` the user's table of
    faces. `outputs` has a path for photos, faces and page (folders), manifest, overview, index and
    paint; `templates` is the folder of their templates. What became of a photograph stays in the
    folder `kept` until another `key`, photograph or mask asks for something else, so that only
    what changed is restored again. Raises FacefillError when there are no photographs, one changes
    meanwhile, or the table of faces or a model is damaged.
    """
    photographs = find_photographs(root, content)
    restorer = Restorer(settings, aligner, read_faces(table, aligner) if table else {})
    folders = {photo.photo.source: kept / _digest(key, photo) for photo in photographs}
    missing = [photo for photo in photographs if not folders[photo.photo.source].exists()]
    log.info("%d photos, of which %d are restored already", len(photographs), len(missing))
    with progress(len(missing), "restore", "photos") as bar:
        for batch in _batches(restorer, missing):
            damaged = [damage for _, damage in batch if isinstance(damage, Damage)]
            completed = iter(restorer.complete(damaged) if damaged else [])
            for photograph, damage in batch:
                if isinstance(damage, Damage):
                    files = restorer.fill(photograph, damage, next(completed))
                else:
                    row = {"status": damage.status, "detail": str(damage)}
                    files = {"facts.json": json.dumps({"rows": [row], "suffixes": {}}).encode()}
                _keep(folders[photograph.photo.source], files)
                bar.update()
    _forget(kept, {folder.name for folder in folders.values()})
    facts = {
        photo.photo.source: read_json(folders[photo.photo.source] / FACTS, "delete it and run again")
        for photo in photographs
    }
    _gather(photographs, folders, facts, list(settings.methods), outputs)
    rows = [
        {"photo": source} | row for source, of_photo in facts.items() for row in of_photo["rows"]
    ]
    with csv_rows(outputs["manifest"]) as lines:
        lines.writerow(COLUMNS)
        lines.writerows([row.get(column, "") for column in COLUMNS] for row in rows)
    write_page(outputs, rows, templates, aligner.size)
    for row in rows:
        if row["status"] != RESTORED:
            log.info("%s: %s (%s)", row["photo"], row["status"], row["detail"])
    aside = Counter(row["status"] for row in rows if row["status"] != RESTORED)
    if aside:
        counts = ", ".join(f"{status} {count}" for status, count in sorted(aside.items()))
        log.warning(
            "%d of %d photographs are set aside (%s); %s says why",
            *(aside.total(), len(photographs), counts, outputs["manifest"]),
        )
    return len(photographs)


def _batches(
    restorer: Restorer, photographs: Iterable[Photograph]
) -> Iterator[list[tuple[Photograph, Damage | SetAside]]]:
    """Photographs with what is found in them, together as many as networks take at a time.

    Fewer where their pixels would fill the memory.
    """
    batch, faces, pixels = [], 0, 0
    for photograph in photographs:
        try:
            damage = restorer.examine(photograph)
            faces += len(damage.found)
            pixels += damage.known.size
        except SetAside as reason:
            damage = reason
        batch.append((photograph, damage))
        if faces >= BATCH or pixels >= PIXELS:
            yield batch
            batch, faces, pixels = [], 0, 0
    if batch:
        yield batch


def _names(photograph: Photograph, found: list[Found]) -> list[str]:
    """Of its faces, by its content: wherever a photograph lies, it is restored alike."""
    return [f"{photograph.sha256}-{number}" for number in range(1, len(found) + 1)]


def _read(photo: Photo, sha256: str) -> bytes:
    try:
        with open_photo(photo.path) as file:
            data = file.read()
    except OSError as error:
        raise SetAside(UNREACHABLE, str(error.strerror)) from error
    if sha256_bytes(data) != sha256:
        raise FacefillError(f"{photo.path}: changed while it was being restored; run again")
    return data


def _digest(key: str, photograph: Photograph, by_hand: list[Found] | None) -> str:
    """All that decides what becomes of a photograph."""
    photo = photograph.photo
    own = [photograph.sha256, photograph.mask_sha256, photo.status, photo.detail, repr(by_hand)]
    return sha256_text("\n".join([key, *own]))


def _keep(folder: Path, files: Mapping[str, bytes]) -> None:
    with atomic_folder(folder) as partial:
        for name, data in files.items():
            file = partial / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def _forget(kept: Path, wanted: set[str]) -> None:
    """Delete what is kept of photographs that are gone or have changed."""
    for folder in kept.iterdir():
        if folder.name not in wanted:
            shutil.rmtree(folder)


def _gather(
    photographs: list[Photograph],
    folders: Mapping[str, Path],
    facts: Mapping[str, Any],
    methods: list[str],
    outputs: Mapping[str, Path],
) -> None:
    """Put the pictures of all photographs under their names; hard links cost no space."""
    with (
        atomic_folder(outputs["photos"]) as photos,
        atomic_folder(outputs["faces"]) as faces,
        atomic_folder(outputs["page"]) as page,
    ):
        for photograph in photographs:
            folder, of_photo = folders[photograph.photo.source], facts[photograph.photo.source]
            for method, suffix in of_photo["suffixes"].items():
                name = photograph.name if len(methods) == 1 else f"{method}/{photograph.name}"
                for file in sorted((folder / method).iterdir()):
                    if file.name == PHOTO:
                        link(file, photos / f"{name}{suffix}")
                    elif file.suffix == ".png":
                        link(file, faces / f"{name}--{file.name}")
