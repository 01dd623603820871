"""Checksums that are remembered from run to run."""

import os
import time

import pytest

from facefill.core import checksums
from facefill.core.checksums import Checksums
from facefill.core.files import sha256_file


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled at once."""
    monkeypatch.setattr(checksums, "RACY_NS", -(10**18))


def test_a_file_is_read_once(tmp_path, settled, monkeypatch):
    file, cache = tmp_path / "people.csv", tmp_path / "new/cache.json"
    file.write_text("a,b\n")
    expected = sha256_file(file)
    first = Checksums(cache)
    assert first.sha256(file) == expected
    first.save()
    monkeypatch.setattr(checksums, "sha256_file", lambda path: pytest.fail("read again"))
    assert Checksums(cache).sha256(file) == expected


def test_a_change_is_seen_whatever_its_date(tmp_path, settled):
    file = tmp_path / "people.csv"
    file.write_text("a,b\n")
    known = Checksums(tmp_path / "cache.json")
    first, stat = known.sha256(file), file.stat()
    time.sleep(0.02)
    file.write_text("a,c\n")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert known.sha256(file) == sha256_file(file) != first


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("a,b\n")
    known = Checksums(tmp_path / "cache.json")
    known.sha256(file)
    known.save()
    assert not (tmp_path / "cache.json").exists()


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"a": 1}', "\udcff"])
def test_a_damaged_cache_is_no_matter(tmp_path, content):
    cache, file = tmp_path / "cache.json", tmp_path / "a"
    cache.write_text(content, errors="surrogateescape")
    file.write_text("a")
    assert Checksums(cache).sha256(file) == sha256_file(file)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Checksums(tmp_path / "cache.json").sha256(tmp_path / "gone")
