"""Results that are kept for a job that would compute the same again."""

import os

import pytest

from facefill.core.kept import Kept, link


@pytest.fixture
def outputs(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/a.png").write_bytes(b"face a")
    (tmp_path / "table.csv").write_text("face\na\n")
    return {"0": tmp_path / "faces", "1": tmp_path / "table.csv"}


@pytest.fixture
def kept(tmp_path, outputs) -> Kept:
    kept = Kept(tmp_path / "kept/job")
    kept.keep("key", outputs)
    return kept


def lost(outputs):
    """As Snakemake leaves it before a job."""
    (outputs["0"] / "a.png").unlink()
    outputs["0"].rmdir()
    outputs["1"].unlink()


def test_it_comes_back(kept, outputs):
    lost(outputs)
    assert kept.restore("key", outputs)
    assert (outputs["0"] / "a.png").read_bytes() == b"face a"
    assert outputs["1"].read_text() == "face\na\n"


def test_it_replaces_what_is_there(kept, outputs):
    (outputs["0"] / "b.png").write_bytes(b"of other settings")
    outputs["1"].unlink()
    outputs["1"].write_text("of other settings")
    assert kept.restore("key", outputs)
    assert os.listdir(outputs["0"]) == ["a.png"] and outputs["1"].read_text() == "face\na\n"


def test_only_under_its_key(kept, outputs):
    lost(outputs)
    assert not kept.restore("another key", outputs)
    assert not outputs["0"].exists()


def test_what_is_kept_later_replaces_it(kept, outputs):
    outputs["1"].unlink()
    outputs["1"].write_text("new")
    kept.keep("new key", outputs)
    assert not kept.restore("key", outputs)
    assert kept.restore("new key", outputs) and outputs["1"].read_text() == "new"


def test_other_outputs_are_another_job(kept, outputs):
    assert not kept.restore("key", outputs | {"2": outputs["1"].with_name("more")})


def test_what_was_edited_in_place_is_not_given_back(kept, outputs):
    """Both are the same file on the disk."""
    with open(outputs["1"], "a") as file:
        file.write("b\n")
    assert not kept.restore("key", outputs)
    assert outputs["1"].read_text() == "face\na\nb\n"


def test_without_one_of_the_outputs_nothing_is_kept(tmp_path, outputs):
    kept = Kept(tmp_path / "kept/job")
    kept.keep("key", outputs | {"2": tmp_path / "deleted by another process"})
    assert not kept.restore("key", outputs | {"2": tmp_path / "deleted by another process"})


def test_a_link_takes_a_links_place(tmp_path):
    """What the former link led to stays as it is, and a folder's date is its own."""
    source, other, target = (tmp_path / name for name in ("source", "other", "target"))
    for folder in (source, other):
        folder.mkdir()
        for name in ("a.png", ".snakemake_timestamp"):
            (folder / name).write_text(folder.name)
    link(other, target)
    link(source, target)
    link(source / "a.png", target / "a.png")
    assert os.path.samefile(target / "a.png", source / "a.png")
    assert os.listdir(target) == ["a.png"] and (other / "a.png").read_text() == "other"


def test_a_disk_without_hard_links(tmp_path, outputs, monkeypatch):
    def refuse(*_):
        raise OSError("not on this disk")

    monkeypatch.setattr(os, "link", refuse)
    kept = Kept(tmp_path / "kept/job")
    kept.keep("key", outputs)
    lost(outputs)
    assert kept.restore("key", outputs) and (outputs["0"] / "a.png").read_bytes() == b"face a"


def test_a_full_disk_gives_nothing_back(kept, outputs, monkeypatch):
    lost(outputs)

    def refuse(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("facefill.core.kept.link", refuse)
    assert not kept.restore("key", outputs)
    assert not outputs["0"].exists() and not outputs["1"].exists()


def test_a_full_disk_keeps_nothing_and_disturbs_nobody(tmp_path, outputs, monkeypatch):
    (tmp_path / "kept").write_text("no folder")
    kept = Kept(tmp_path / "kept/job")
    kept.keep("key", outputs)
    assert not kept.restore("key", outputs)


def test_a_kill_while_it_is_kept_leaves_nothing_half(tmp_path, kept, outputs):
    (tmp_path / "kept/job/result.json").unlink()
    assert not kept.restore("key", outputs)
