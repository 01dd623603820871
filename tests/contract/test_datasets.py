"""What every kind of data set keeps to."""

import hashlib
import multiprocessing
import tarfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from contract.examples import settings
from facefill.datasets import Dataset
from facefill.kinds import kinds, make

KINDS = sorted(kinds("datasets"))


def entry(kind: str, folder: Path) -> dict:
    """The kind's example; addresses and paths lead to photos in `folder`."""
    declared = kinds("datasets")[kind]
    changes = {}
    if "urls" in declared.settings() and "urls" not in declared.example:
        photos = folder / "photos" / "Ann"
        photos.mkdir(parents=True)
        (photos / "1.jpg").write_bytes(b"one")
        with tarfile.open(folder / "photos.tgz", "w:gz") as archive:
            archive.add(folder / "photos", "photos")
        changes = {"urls": [(folder / "photos.tgz").as_uri()]}
    if "path" in declared.settings() and "path" not in declared.example:
        changes = {"path": str(folder)}
    return settings("datasets", kind, **changes)


def made_in_a_process(dataset: Dataset, raw: Path, **arguments) -> int:
    """What make_raw returns, called in a new Python: forking this one, with its threads, hangs."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(partial(dataset.make_raw, raw, **arguments)).result()


@pytest.mark.parametrize("kind", KINDS)
def test_it_makes_raw_or_has_a_folder(kind, tmp_path):
    """The same settings give the same bytes; the number it returns is that of the photos."""
    dataset = make("datasets", entry(kind, tmp_path))
    if dataset.rule is None:
        # A transfer has the faces of another data set.
        assert kind == "transfer" or Path(dataset.path).is_dir()
        return
    digests = []
    for attempt in ("first", "second"):
        raw = tmp_path / attempt / "raw"
        raw.parent.mkdir()
        extra = {name: raw.parent / file for name, file in dataset.extra.items()}
        count = made_in_a_process(dataset, raw, extra=extra, cache=tmp_path / "cache", threads=1)
        photos = sorted(path for path in raw.rglob("*") if path.is_file())
        assert count == len(photos) > 0
        assert all(path.is_file() for path in extra.values())
        digests.append([hashlib.sha256(path.read_bytes()).digest() for path in photos])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_who_is_who(kind, tmp_path):
    dataset = make("datasets", entry(kind, tmp_path))
    assert dataset.identity in ("folder", "file") or set(dataset.identity) == {"table"}
