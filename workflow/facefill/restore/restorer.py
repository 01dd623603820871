"""Restoring one photograph: its hole, its faces, and the completed faces back in their place."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facefill.align import MIN_SIDE, Aligner, warp
from facefill.complete import lay_in
from facefill.core.errors import FacefillError
from facefill.core.files import sha256_bytes
from facefill.core.images import TooLargeImage, UnreadableImage, png_bytes
from facefill.core.masking import Masks, make_masks, observe
from facefill.core.photos import UNREACHABLE, Photo, open_photo
from facefill.parts import Faces, Part, complete
from facefill.restore.finder import BY_HAND, FaceFinder, Found
from facefill.restore.holes import NoHole, find_hole
from facefill.restore.original import Original, open_original
from facefill.restore.page import picture_files
from facefill.restore.photographs import Photograph
from facefill.restore.place import Placed, face_known, lay_back, photo_known

RESTORED = "restored"
FACTS = "facts.json"  # of a photograph: its rows of the manifest, and what the page says
ODD = (cv2.error, MemoryError, ValueError, OSError)  # what one odd photo can cause
LEAST_KNOWN = 0.05  # of a face; with less, a method has nothing to go by
# A completed face tells better than Telea's fill where the landmarks in the hole are. On 60 photos
# of LFW's validation people under strokes, by gaussian, PSNR in the hole rose from 20.10 to 20.49
# and 20.59 dB, faces aligned within 4 of their pixels from 43 to 48 and 49.
ROUNDS = 2


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

    photograph: Photograph
    original: Original
    known: np.ndarray  # bool [height, width]
    how: str  # what marks the hole
    found: list[Found]
    faces: Faces  # all that may be known of them


class SetAside(Exception):
    """A photograph that is not restored."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.row = {"status": status, "detail": reason}  # of the manifest

    @classmethod
    def by(cls, error: Exception) -> "SetAside":
        """What stands in the manifest for one of ODD."""
        return cls("unreadable", f"{type(error).__name__}: {error}")


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
            height, width = original.pixels.shape[:2]
            if min(height, width) < MIN_SIDE:
                raise SetAside("too_small", f"{width}x{height} pixels")
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
        except ODD as error:
            raise SetAside.by(error) from error

    def _find(self, photograph: Photograph, original: Original, known: np.ndarray) -> list[Found]:
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
        if known.all():
            hole = self.settings.hole
            raise SetAside("no_hole", f"the mask {hole} hides no pixel of the photograph")
        faces = Faces(names, observe(crops, masks), masks)
        return Damage(photograph, original, known, self.settings.hole, found, faces)

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
        return Damage(photograph, original, known, how, found, faces)

    def refine(self, damages: list[Damage]) -> list[Damage]:
        """Align faces anew in photographs that are filled by the first method.

        Not those that the user has placed, nor where a mask hides what was seen when they were
        found.
        """
        if self.settings.mask is not None:
            return damages
        method = next(iter(self.settings.methods))
        for _ in range(ROUNDS):
            completed = self.complete(damages, [method])
            damages = [
                self._aligned_anew(damage, of_photo[method])
                for damage, of_photo in zip(damages, completed, strict=True)
            ]
        return damages

    def _aligned_anew(self, damage: Damage, faces: np.ndarray) -> Damage:
        placed = _placed(damage, faces)
        filled, _ = lay_back(damage.original.pixels, damage.known, placed)
        found = [
            face if face.detector == BY_HAND else self.finder.again(filled, damage.known, face)
            for face in damage.found
        ]
        try:
            return self._touched(
                damage.photograph, damage.original, damage.known, damage.how, found
            )
        except SetAside:  # the hole touches none of them any more
            return damage

    def complete(
        self, damages: list[Damage], methods: Iterable[str]
    ) -> list[dict[str, np.ndarray]]:
        """Complete the faces of several photographs at once.

        Returns for each of them, by method, uint8 [N, size, size, 3].
        """
        settings = self.settings
        faces = Faces(
            [name for damage in damages for name in damage.faces.names],
            np.concatenate([damage.faces.observed for damage in damages]),
            Masks(
                np.concatenate([damage.faces.masks.known for damage in damages]),
                damages[0].faces.masks.block,  # that of the set's mask: all have the same
            ),
        )
        ends = np.cumsum([len(damage.found) for damage in damages])[:-1]
        completed: list[dict[str, np.ndarray]] = [{} for _ in damages]
        for method in methods:
            result = complete(
                settings.methods[method],
                faces,
                train=settings.train,
                seed=settings.seed,
                device=settings.device,
            )
            filled = lay_in(faces.observed, faces.masks.known, result.faces)
            for of_photo, each in zip(completed, np.split(filled, ends), strict=True):
                of_photo[method] = each
        return completed

    def fill(self, damage: Damage, completed: Mapping[str, np.ndarray]) -> dict[str, bytes]:
        """Lay completed faces, by method, into their photograph; return the files kept of it.

        Raises one of ODD.
        """
        original, known = damage.original, damage.known
        grain = int(damage.photograph.sha256[:8], 16) if self.settings.grain else None
        detail = "; ".join(filter(None, [f"hole: {damage.how}", original.note]))
        files, rows, suffixes, after = {}, [], {}, {}
        for method, faces in completed.items():
            placed = _placed(damage, faces)
            after[method], filled_by = lay_back(original.pixels, known, placed, grain)
            files[f"photo/{method}"], suffixes[method] = original.encode(
                after[method], known, self.settings.format
            )
            for number, (found, face) in enumerate(zip(damage.found, faces, strict=True), 1):
                files[f"face/{method}--{number}.png"] = png_bytes(face)
                scale = abs(np.linalg.det(found.matrix[:, :2])) ** -0.5
                share = (filled_by == number - 1).sum() / (~known).sum()
                row = {"face": number, "method": method, "status": RESTORED, "detail": detail}
                row |= {"detector": found.detector, "scale": f"{scale:.3f}"}
                rows.append(row | {"share": f"{share:.4f}"})
        shown = picture_files(original.pixels, known, after)
        height, width = known.shape
        facts = {"rows": rows, "suffixes": suffixes, "width": width, "height": height}
        facts["hidden"] = float((~known).mean())
        files |= {f"page/{name}": data for name, data in shown.items()}
        return files | {FACTS: json.dumps(facts).encode()}


def _placed(damage: Damage, faces: np.ndarray) -> list[Placed]:
    """Completed faces, uint8 [N, size, size, 3], with the way into their photograph."""
    return [Placed(found.matrix, face) for found, face in zip(damage.found, faces, strict=True)]


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
