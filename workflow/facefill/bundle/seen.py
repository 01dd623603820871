"""Which photos the networks of a bundle have seen."""

from pathlib import Path

from facefill.bundle.read import open_bundle
from facefill.core.errors import FacefillError
from facefill.core.files import read_table

PHOTOS = "photos.sha256"  # the member that lists them


def photos_seen(bundle: Path | str) -> set[str]:
    """The SHA-256 of the photos in a bundle's training and validation; raises as `open_bundle`."""
    return set(open_bundle(bundle).read(PHOTOS).decode().split())


def photos_of(index: Path | str, sources: set[str]) -> set[str]:
    """The SHA-256 of photos, from index.csv. Raises FacefillError when that is damaged."""
    columns = ["source", "sha256"]
    table = read_table(index, columns, text=columns)
    return set(table["sha256"][table["source"].isin(sources)])


def refuse_seen(bundle: Path | str, index: Path | str, test_table: Path | str) -> None:
    """Raise FacefillError when test photos were in the training that the bundle comes from.

    Whoever trains on from it would be tested on people whom the networks know.
    """
    test = read_table(test_table, ["source"], text=["source"])
    seen = photos_seen(bundle) & photos_of(index, set(test["source"]))
    if seen:
        raise FacefillError(
            f"{bundle}: its networks were trained on {len(seen)} of the test photos, so that no "
            "test would be one; set the model's start to null, or take a bundle of other photos"
        )
