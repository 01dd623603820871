"""Files and folders that appear whole or not at all."""

import os
import platform

import pytest

from facefill.core.errors import FacefillError
from facefill.core.files import (
    atomic,
    atomic_folder,
    own_suffix,
    read_table,
    remove_partials,
    sha256_path,
    write_bytes,
)


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with atomic(path) as partial:
        assert partial.suffix == ".csv" and partial.parent == path.parent
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert listing(tmp_path) == ["new", "new/table.csv"]


def test_a_file_that_fails_leaves_the_one_before(tmp_path):
    path = tmp_path / "table.csv"
    write_bytes(path, b"before")
    with pytest.raises(KeyboardInterrupt), atomic(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"before"
    assert listing(tmp_path) == ["table.csv"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write_bytes(tmp_path / "file", b"x")
    assert calls == ["fsync", "replace"]


def test_a_folder_replaces_the_one_before(tmp_path):
    for number in range(2):
        with atomic_folder(tmp_path / "faces") as partial:
            (partial / f"{number}.png").write_bytes(b"x")
    assert listing(tmp_path) == ["faces", "faces/1.png"]


def test_a_folder_that_fails_leaves_the_one_before(tmp_path):
    with atomic_folder(tmp_path / "faces") as partial:
        (partial / "a.png").write_bytes(b"x")
    with pytest.raises(OSError), atomic_folder(tmp_path / "faces") as partial:
        (partial / "b.png").write_bytes(b"x")
        raise OSError
    assert listing(tmp_path) == ["faces", "faces/a.png"]


def test_what_a_killed_run_left_is_removed(tmp_path):
    left = [".faces.node-7-1.partial/old", ".train.node-7-1.partial.npy", ".train.a-2.partial.npy"]
    stays = [".train.node-7-1.partial.csv", ".train_more.node-7-1.partial.npy", "train.npy"]
    for name in [*left, *stays]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_partials(tmp_path / "faces")
    remove_partials(tmp_path / "train.npy")
    remove_partials(tmp_path / "nowhere" / "a.csv")
    assert listing(tmp_path) == sorted(stays)


def test_what_a_process_of_the_same_number_left_is_no_part_of_the_next(tmp_path):
    left = tmp_path / f".faces.{own_suffix()}.partial"
    left.mkdir()
    (left / "old.png").write_bytes(b"x")
    with atomic_folder(tmp_path / "faces") as partial:
        (partial / "a.png").write_bytes(b"x")
    assert listing(tmp_path) == ["faces", "faces/a.png"]


def test_processes_do_not_share_what_they_write(tmp_path):
    with atomic(tmp_path / "a.csv") as file, atomic_folder(tmp_path / "faces") as folder:
        for path in (file, folder):
            assert platform.node()[:20].replace(".", "-") in path.name
            assert f"-{os.getpid()}.partial" in path.name
        file.touch()


def test_the_checksum_of_a_folder_tells_names_content_and_places(tmp_path):
    sums = set()
    for name, content in [("a", b"1"), ("a", b"2"), ("b", b"1"), ("c/a", b"1")]:
        with atomic_folder(tmp_path / "folder") as partial:
            (partial / name).parent.mkdir(exist_ok=True)
            (partial / name).write_bytes(content)
        sums.add(sha256_path(tmp_path / "folder"))
    assert len(sums) == 4


def test_lines_with_more_cells_than_the_header_are_refused(tmp_path):
    """Pandas would take the first cell for the line's name, and shift the others."""
    (tmp_path / "table.csv").write_text("face,identity,sha256\nx,a,Ann,00\ny,b,Bo,01\n")
    with pytest.raises(FacefillError, match=r"table\.csv: its lines have more cells"):
        read_table(tmp_path / "table.csv", ["face"], text=["face"])
