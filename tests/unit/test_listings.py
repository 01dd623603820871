"""facefill.core.listings: a job finds the photos that it was planned with, or nothing."""

import json
import os

import pytest

from facefill.core.listings import planned_digests, read_listing, write_listings
from facefill.core.photos import digest, shard_of

HASHES = {f"person/{number}.jpg": f"{number:064x}" for number in range(20)}
HASHES |= {"b\udcff\n{x}.jpg": "0" * 64, "gone.jpg": "unreachable"}


def of_shard(hashes: dict[str, str], shard: int, shards: int) -> dict[str, str]:
    return {key: hashes[key] for key in hashes if shard_of(key, shards) == shard}


def test_each_shard_is_listed_under_its_digest(tmp_path):
    everything, shards = write_listings(tmp_path / "new", "photos", HASHES, 3)
    assert everything == digest(HASHES.items())
    for shard, content in enumerate(shards):
        expected = of_shard(HASHES, shard, 3)
        assert content == digest(expected.items())
        assert read_listing(tmp_path / "new", content) == expected


def test_an_empty_shard_has_a_listing(tmp_path):
    _, (content,) = write_listings(tmp_path, "photos", {}, 1)
    assert read_listing(tmp_path, content) == {}


def test_what_was_planned_is_read_back(tmp_path):
    planned = write_listings(tmp_path, "photos", HASHES, 3)
    assert planned_digests(tmp_path, "photos", 3) == planned
    assert planned_digests(tmp_path, "elsewhere", 3) is None
    assert planned_digests(tmp_path, "photos", 4) is None
    assert planned_digests(tmp_path / "nowhere", "photos", 3) is None


def test_other_photos_replace_their_shards_listing(tmp_path):
    _, before = write_listings(tmp_path, "photos", HASHES, 3)
    changed = HASHES | {"gone.jpg": "1" * 64}
    planned = write_listings(tmp_path, "photos", changed, 3)
    others = set(before) - set(planned[1])
    assert len(others) == 1
    assert read_listing(tmp_path, others.pop()) is None
    assert planned_digests(tmp_path, "photos", 3) == planned
    assert len(os.listdir(tmp_path)) == 4  # nothing is left over


def test_unchanged_photos_are_not_written_again(tmp_path):
    write_listings(tmp_path, "photos", HASHES, 3)
    before = {file.name: file.stat().st_ino for file in tmp_path.iterdir()}
    write_listings(tmp_path, "photos", HASHES, 3)
    assert {file.name: file.stat().st_ino for file in tmp_path.iterdir()} == before


def test_a_lost_listing_is_written_again(tmp_path):
    _, shards = write_listings(tmp_path, "photos", HASHES, 3)
    (tmp_path / f"{shards[1]}.json").unlink()
    write_listings(tmp_path, "photos", HASHES, 3)
    assert read_listing(tmp_path, shards[1]) is not None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\0", b"[1]", b'"x"', b'{"a": 1}', b"null"])
def test_a_damaged_listing_is_none(tmp_path, damage):
    _, (content,) = write_listings(tmp_path, "photos", HASHES, 1)
    (tmp_path / f"{content}.json").write_bytes(damage)
    assert read_listing(tmp_path, content) is None
    (tmp_path / "digests.json").write_bytes(damage)
    assert planned_digests(tmp_path, "photos", 1) is None


def test_a_listing_of_other_photos_is_none(tmp_path):
    """As one that was edited, or copied."""
    _, (content,) = write_listings(tmp_path, "photos", HASHES, 1)
    (tmp_path / f"{content}.json").write_text(json.dumps(HASHES | {"gone.jpg": "2" * 64}))
    assert read_listing(tmp_path, content) is None


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path):
    (tmp_path / "file").write_text("")
    digests = write_listings(tmp_path / "file/listings", "photos", HASHES, 3)
    assert digests == write_listings(tmp_path / "other", "photos", HASHES, 3)
