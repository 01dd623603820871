"""Transfer: complete the faces of one data set by the models of another, or of a bundle.

Whoever was in training must not be tested. Of the other data set's faces those are set aside that
are a training or validation photo's bytes, its picture saved again (facefill.near_duplicates), or
another photo of one of these people by dlib's descriptors. A bundle holds neither pictures nor
descriptors of people, so that by one only the same bytes are found.
"""

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from scipy.spatial.distance import cdist

from facefill.bundle import of_model
from facefill.bundle.read import Bundle
from facefill.core.descriptor import Describer
from facefill.core.errors import FacefillError
from facefill.core.files import (
    atomic,
    csv_rows,
    read_table,
    sha256_bytes,
    write_array,
    write_bytes,
    write_table,
)
from facefill.core.progress import progress
from facefill.near_duplicates import find_near_duplicates
from facefill.split import COLUMNS, read_split

SET_ASIDE = ["face", "source", "reason", "other", "distance"]
REASONS = ("same_bytes", "same_picture", "same_person")
# How near a training face a descriptor must be. Two photos of one person are 0.46 +- 0.10 apart,
# but what counts is the nearest of all training faces. Measured on LFW's crops of 64 pixels, 10,886
# training faces (dlib's network, zoom 1): of 1,217 photos of 543 other people 1.4 % are nearer
# (95 % interval over people 0.8 to 2.1 %; the nearest five are people with two names in LFW, or two
# in one photo), of 1,361 held-out photos of people with other photos in training 36 % (22 % where
# there is one other photo, 64 % where there are five or more). 0.38 sets 0.9 % and 31 % aside,
# 0.42 4.9 % and 51 %. So most photos of a person who is known by another photo alone are NOT found.
SAME_PERSON = 0.39
NO_SAMPLES = "The bundle has no samples of this model: they show people of the validation split."
BLOCK = 512  # faces whose distances are in memory at a time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """The faces that a training has seen; by a bundle only their photos are known."""

    photos: Mapping[str, str]  # by the sha256 of a photo its face; "" by a bundle
    splits: Mapping[str, tuple[list[str], np.ndarray]]  # names and faces of train and val
    descriptors: np.ndarray  # float64 [N, 128] of all those in their order; NaN = not described


def seen_by_dataset(
    index: Path | str,
    splits: Mapping[str, tuple[Path | str, Path | str]],
    descriptors: Mapping[str, Path | str],
) -> Seen:
    """What the data set of the models has trained on.

    `index` is its index.csv, `splits` array and table of train and val, `descriptors` those of
    describe, by the same names.
    """
    sha256 = _checksums(index)
    photos: dict[str, str] = {}
    for _, table in splits.values():
        part = read_table(table, COLUMNS, text=COLUMNS)
        photos |= {sha256[s]: f for s, f in zip(part["source"], part["face"], strict=True)}
    faces = {name: read_split(*files) for name, files in splits.items()}
    return Seen(photos, faces, np.concatenate([np.load(descriptors[name]) for name in splits]))


def seen_by_bundle(bundle: Bundle) -> Seen:
    """What a bundle says of its training: the checksums of the photos."""
    photos = dict.fromkeys(bundle.read("photos.sha256").decode().split(), "")
    return Seen(photos, {}, np.empty((0, 0)))


def choose_test(
    faces: Path,
    manifest: Path | str,
    index: Path | str,
    seen: Seen,
    zoom: float,
    *,
    array: Path | str,
    table: Path | str,
    set_aside: Path | str,
) -> dict[str, int]:
    """Write the test split of a transfer; return how many faces were set aside, by REASONS.

    The folder `faces`, `manifest` and `index` are those of the data set to be completed, `zoom` is
    the alignment's. `array` gets uint8 [N, size, size, 3], `table` COLUMNS, both sorted by face,
    `set_aside` SET_ASIDE: `other` is the face of the training or validation split, `distance` the
    root mean square of grey levels of the same picture, or that of descriptors. Raises
    FacefillError when nobody is left, or a face is missing or not the one in the manifest.
    """
    columns = [*COLUMNS, "status", "sha256"]
    rows = read_table(manifest, columns, text=columns)
    rows = rows[rows["status"] == "aligned"].sort_values("face", kind="stable")
    if rows.empty:
        raise FacefillError(f"{manifest}: no photo has a face; add photos with faces")
    photos = [_checksums(index)[source] for source in rows["source"]]
    found = {
        face: ("same_bytes", seen.photos[sha256], "")
        for face, sha256 in zip(rows["face"], photos, strict=True)
        if sha256 in seen.photos
    }
    left = _left(rows, found)
    pixels = _read(faces, left)
    if seen.splits and len(left):
        found |= _same_pictures(left["face"].tolist(), pixels, seen)
        found |= {
            face: said
            for face, said in _same_people(left["face"].tolist(), pixels, seen, zoom).items()
            if face not in found
        }
    kept = ~left["face"].isin(list(found)).to_numpy()
    counts = {reason: sum(said[0] == reason for said in found.values()) for reason in REASONS}
    log.info("%d faces, set aside: %s", len(rows), counts)
    if not kept.any():
        why = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        raise FacefillError(
            f"transfer: all {len(rows)} faces are set aside, because the models were trained on "
            f"them or these people ({why}), so that the test split is empty; add photos of others"
        )
    source = dict(zip(rows["face"], rows["source"], strict=True))
    with csv_rows(set_aside) as lines:
        lines.writerow(SET_ASIDE)
        lines.writerows([face, source[face], *found[face]] for face in sorted(found))
    write_array(array, pixels[kept])
    write_table(table, left[kept][COLUMNS])
    return counts


def _checksums(index: Path | str) -> dict[str, str]:
    table = read_table(index, ["source", "sha256"], text=["source", "sha256"])
    return dict(zip(table["source"], table["sha256"], strict=True))


def _left(rows: pd.DataFrame, found: Mapping[str, Any]) -> pd.DataFrame:
    return rows[~rows["face"].isin(list(found))]


def _read(folder: Path, rows: pd.DataFrame) -> np.ndarray:
    """The faces of `rows`, uint8 [N, size, size, 3]."""
    pixels = []
    for face, sha256 in zip(rows["face"], rows["sha256"], strict=True):
        path = folder / f"{face}.png"
        png = path.read_bytes() if path.is_file() else b""
        if sha256_bytes(png) != sha256:
            raise FacefillError(
                f"{path}: missing, or not the face that was aligned; delete {folder} and run again"
            )
        pixels.append(np.asarray(Image.open(io.BytesIO(png))))
    return np.stack(pixels) if pixels else np.empty((0, 0, 0, 3), np.uint8)


def _same_pictures(names: list[str], pixels: np.ndarray, seen: Seen) -> dict[str, tuple]:
    splits = {**seen.splits, "test": (names, pixels)}
    pairs = [pair for pair in find_near_duplicates(splits) if pair[1] == "test"]
    # The nearest of several comes last, and stays.
    pairs.sort(key=lambda pair: -float(pair[4]))
    return {face: ("same_picture", other, difference) for face, _, other, _, difference in pairs}


def _same_people(names: list[str], pixels: np.ndarray, seen: Seen, zoom: float) -> dict[str, tuple]:
    describer = Describer(pixels.shape[1], zoom)
    others = [name for split, _ in seen.splits.values() for name in split]
    theirs = seen.descriptors.copy()
    absent = np.flatnonzero(np.isnan(theirs).any(axis=1))  # of a large validation split
    if len(absent):
        faces = np.concatenate([np.asarray(faces) for _, faces in seen.splits.values()])
        theirs[absent] = describer(faces[absent])
    with progress(len(names), "describe", "faces") as bar:
        ours = describer(pixels, bar.update)
    found = {}
    for start in range(0, len(ours), BLOCK):
        distances = cdist(ours[start : start + BLOCK], theirs)
        nearest = distances.argmin(axis=1)
        for row, column in enumerate(nearest):
            if distances[row, column] < SAME_PERSON:
                distance = f"{distances[row, column]:.3f}"
                found[names[start + row]] = ("same_person", others[column], distance)
    return found


# -- from a bundle -----------------------------------------------------------------------------


def take_model(bundle: Bundle, model: str, outputs: Mapping[str, Path | str]) -> None:
    """Write a model's files as the bundle has them; `outputs` are paths by their names.

    A bundle has no samples that show people, and no large animation: a line of text, or the last
    samples, take their place.
    """
    there = bundle.contents["members"]
    for name, path in outputs.items():
        member = of_model(model, Path(path).name)
        if member in there or name not in ("samples", "samples_gif"):
            write_bytes(path, bundle.read(member))
            continue
        still = of_model(model, "samples.png")
        if still in there:
            picture = Image.open(io.BytesIO(bundle.read(still)))
        else:
            picture = Image.new("RGB", (560, 28), "white")
            ImageDraw.Draw(picture).text((8, 8), NO_SAMPLES, "black")
        with atomic(path) as partial:
            picture.save(partial)


def take_training(bundle: Bundle, outputs: Mapping[str, Path | str]) -> None:
    """Write the mean face as the only one of the training split, and an empty validation split.

    `outputs` are the paths of arrays and tables by `train`, `val`, `train_table`, `val_table`.
    """
    mean = np.asarray(Image.open(io.BytesIO(bundle.read("mean.png"))).convert("RGB"))
    for split, faces, names in (("train", mean[None], ["mean"]), ("val", mean[None][:0], [])):
        write_array(outputs[split], faces)
        table = pd.DataFrame({"face": names, "identity": names, "source": names})
        write_table(outputs[f"{split}_table"], table)


def counts_of(tables: Mapping[str, Path | str]) -> dict[str, dict[str, int]]:
    """How many faces, of how many people, by the names of splits, whose tables are given."""
    counts = {}
    for name, path in tables.items():
        table = read_table(path, COLUMNS, text=COLUMNS)
        counts[name] = {"faces": len(table), "people": int(table["identity"].nunique())}
    return counts
