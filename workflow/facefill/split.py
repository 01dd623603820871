"""Split: divide the faces into training, validation and test, nobody in two of them."""

import hashlib
import io
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facefill.core.errors import FacefillError
from facefill.core.files import atomic, csv_rows, read_table, sha256_bytes, sha256_text, write_table
from facefill.core.progress import progress
from facefill.near_duplicates import find_near_duplicates

SPLITS = ("train", "val", "test")
UNUSED = ""
COLUMNS = ["face", "identity", "source"]
DUPLICATE_COLUMNS = ["face", "split", "other", "other_split", "difference"]

log = logging.getLogger(__name__)


def split(
    manifest: Path,
    faces: Path,
    *,
    train: int | None,
    val: float,
    test: float,
    seed: int,
    arrays: Mapping[str, Path],
    tables: Mapping[str, Path],
    near_duplicates: Path,
) -> int:
    """Write every split as an array and a table; return the number of faces in them.

    `manifest` and the folder `faces` are flatten's; `train`, `val`, `test` and `seed` as in
    `assign`. `arrays` and `tables` hold a path for each of SPLITS: .npy of uint8
    [N, size, size, 3], RGB, and .csv with COLUMNS, both sorted by face. `near_duplicates` becomes
    a table of DUPLICATE_COLUMNS, see `find_near_duplicates`; a warning says when it has lines.
    Raises FacefillError when a split is empty, or when a face is missing or not the one in the
    manifest.
    """
    columns = [*COLUMNS, "status", "sha256"]
    rows = read_table(manifest, columns, text=columns)
    rows = rows[rows["status"] == "aligned"].sort_values("face", kind="stable")
    people = Counter(rows["identity"])
    if len(people) < len(SPLITS):
        raise FacefillError(
            f"split: the {people.total()} faces are of {len(people)} people"
            f" ({', '.join(map(repr, sorted(people)))}), and each of {', '.join(SPLITS)} needs one;"
            " add photos of other people or correct the dataset's identity"
        )
    of_person = assign(people, train, val, test, seed)
    rows = rows.assign(split=rows["identity"].map(of_person))
    for name in SPLITS:
        if not (rows["split"] == name).any():
            raise _empty(name, people, of_person, train, val, test)
    used = rows[rows["split"] != UNUSED]
    unused = len(rows) - len(used)
    log.info("%d faces of %d people, %d faces unused", len(rows), len(people), unused)
    with progress(len(used), "split", "faces") as bar:
        for name in SPLITS:
            part = used[used["split"] == name]
            log.info("%s: %d faces of %d people", name, len(part), part["identity"].nunique())
            _write_array(arrays[name], faces, part, bar)
            write_table(tables[name], part[COLUMNS])
    pairs = find_near_duplicates({name: read_split(arrays[name], tables[name]) for name in SPLITS})
    with csv_rows(near_duplicates) as lines:
        lines.writerow(DUPLICATE_COLUMNS)
        lines.writerows(pairs)
    if pairs:
        face, name, other, other_name, _ = pairs[0]
        log.warning(
            "%d pairs of faces in different splits are nearly the same picture, such as %s (%s) and"
            " %s (%s): one photo saved twice, or one person under two names; see %s, and remove one"
            " of each or correct the dataset's identity",
            *(len(pairs), face, name, other, other_name, near_duplicates),
        )
    return len(used)


def assign(
    people: Mapping[str, int], train: int | None, val: float, test: float, seed: int
) -> dict[str, str]:
    """Return the split of every person, or UNUSED, given how many faces each has.

    People are put in the order of a hash of `seed` and identity. Shares, `val` and `test` below 1:
    the hash as a number in [0, 1) decides, so nobody moves when others come or go; `train` is then
    only an upper limit of faces. Counts, 1 and above: each person in turn goes whole to the first
    of test, val and train with room for all their faces, or to none. `train` None is no limit.
    Raises FacefillError naming the key when the settings contradict each other.
    """
    if (val < 1) != (test < 1):
        raise FacefillError(
            f"split: val is {val} and test {test}; give both as shares of the people (below 1) "
            "or both as counts of faces (1 and above)"
        )
    if val < 1:
        if val + test >= 1:
            raise FacefillError(
                f"split: val {val} and test {test} leave nobody to train on; lower them"
            )
        room = {"test": np.inf, "val": np.inf}
    else:
        for name, count in (("val", val), ("test", test)):
            if count != int(count):
                raise FacefillError(
                    f"split.{name}: {count} is neither a share (below 1) nor a whole number"
                )
        room = {"test": test, "val": val}
    room["train"] = np.inf if train is None else train

    of_person = {}
    for place, person in sorted((_place(person, seed), person) for person in people):
        if val < 1:
            candidates = ["test" if place < test else "val" if place < test + val else "train"]
        else:
            candidates = ["test", "val", "train"]
        chosen = next((name for name in candidates if people[person] <= room[name]), UNUSED)
        if chosen != UNUSED:
            room[chosen] -= people[person]
        of_person[person] = chosen
    return of_person


def _place(person: str, seed: int) -> float:
    """A number in [0, 1) that depends on nothing else."""
    return int(sha256_text(f"{seed}:{person}"), 16) / 2**256


def _empty(
    name: str,
    people: Counter,
    of_person: Mapping[str, str],
    train: int | None,
    val: float,
    test: float,
) -> FacefillError:
    """Say why a split is empty: nobody was left for it, or it has no room for those who were."""
    before = {"test": [], "val": ["test"], "train": ["val", "test"]}[name]  # who choose first
    left = [people[person] for person, chosen in of_person.items() if chosen not in before]
    if val < 1 and name != "train":
        remedy = f"raise split.{name}, try another split.seed or add people"
    elif left:
        remedy = f"raise split.{name} to {min(left)} or more, or add people with fewer photos each"
    else:
        lower = [f"split.{other}" for other in before if val < 1 or other in of_person.values()]
        taken = sum(people[person] for person, chosen in of_person.items() if chosen in before)
        remedy = f"lower {' and '.join(lower)}, which took {taken} of them, or add people"
    return FacefillError(
        f"split: with train {train}, val {val} and test {test} the {name} split is empty "
        f"({people.total()} faces of {len(people)} people, up to {max(people.values())} of one); "
        f"{remedy}"
    )


def read_split(npy: Path | str, csv: Path | str) -> tuple[list[str], np.ndarray]:
    """Return the names and the faces of one split, uint8 [N, size, size, 3], mapped from the file.

    Raises FacefillError when the array is damaged or does not belong to the table.
    """
    names = read_table(csv, ["face"], text=["face"])["face"].tolist()
    remedy = f"delete {Path(npy).parent} and run again"
    try:
        faces = np.load(npy, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise FacefillError(f"{npy}: not a readable array ({error}); {remedy}") from error
    if faces.dtype != np.uint8 or faces.ndim != 4 or len(faces) != len(names):
        raise FacefillError(
            f"{npy}: {faces.dtype} {list(faces.shape)} does not fit the {len(names)} faces of "
            f"{csv}; {remedy}"
        )
    return names, faces


def _write_array(path: Path, faces: Path, part: pd.DataFrame, bar) -> None:
    """Write the faces of `part` in its order, one by one: they may exceed the memory.

    Not through a memory map, which ends the process without a word when the disk is full.
    """
    with atomic(path) as partial, open(partial, "wb") as file:
        for row, (face, sha256) in enumerate(zip(part["face"], part["sha256"], strict=True)):
            pixels = _read_face(faces / f"{face}.png", sha256, faces)
            if row == 0:
                shape = (len(part), *pixels.shape)
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(pixels.tobytes())
            bar.update()


def _read_face(path: Path, sha256: str, faces: Path) -> np.ndarray:
    remedy = f"delete {faces} and run again"
    try:
        png = path.read_bytes()
    except OSError as error:
        raise FacefillError(
            f"{path}: the face cannot be read ({error.strerror}); {remedy}"
        ) from error
    if sha256_bytes(png) != sha256:
        raise FacefillError(f"{path}: not the face that was aligned; {remedy}")
    return np.asarray(Image.open(io.BytesIO(png)))


def choose_faces(npy: Path | str, csv: Path | str, count: int) -> tuple[list[str], np.ndarray]:
    """Return names and faces, uint8 [N, size, size, 3], of at most `count` faces of a split.

    The choice goes by a hash of the name: the same faces for every method, and nearly the same
    when the split grows. Sorted by name. Raises FacefillError as `read_split` does.
    """
    names, faces = read_split(npy, csv)
    rows = choose(names, count)
    return [names[row] for row in rows], np.asarray(faces[rows])


def choose(names: list[str], count: int) -> list[int]:
    """The numbers of at most `count` of `names`, by their hashes; of few chosen, fewer are too."""
    hashes = [hashlib.sha256(name.encode()).digest() for name in names]
    return sorted(sorted(range(len(names)), key=hashes.__getitem__)[:count])
