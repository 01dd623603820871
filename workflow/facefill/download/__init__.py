"""From the addresses of an archive to a folder of raw photos."""

from contextlib import suppress
from pathlib import Path

from facefill.core.errors import FacefillError
from facefill.core.photos import CACHE_SIGNATURE, CACHE_TAG
from facefill.download.extract import extract as unpack
from facefill.download.fetch import cache_name
from facefill.download.fetch import fetch as get


def download(
    urls: list[str], sha256: str | None, extras: list[dict], cache: Path | str, raw: Path | str
) -> int:
    """Fetch an archive, unpack it to `raw` with the extras in it; return the number of files.

    Each of `extras` is {"name": file name, "urls": [...], "sha256": checksum or None}. All is
    fetched before anything is unpacked, and `raw` appears when all of it is there. Raises
    FacefillError for an extra whose name is no plain file name or not its own, and as `fetch`
    and `extract` do.
    """
    names = [extra["name"] for extra in extras]
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name or names.count(name) > 1:
            raise FacefillError(
                f"extras: the name {name!r} is not a plain file name, or not of one extra alone;"
                " correct the dataset's extras"
            )
    archive = get(urls, sha256, cache)
    files = [get(extra["urls"], extra.get("sha256"), cache) for extra in extras]
    with suppress(OSError):  # nothing was downloaded, or the cache is somebody else's
        # A folder of photos above takes nothing from here (facefill.core.photos).
        (Path(cache) / CACHE_TAG).write_bytes(CACHE_SIGNATURE + b"\n# Downloads of facefill\n")
    kept = [Path(cache, cache_name(url, sha256)) for url in urls if not url.startswith("file://")]
    return unpack(
        archive,
        raw,
        dict(zip(names, files, strict=True)),
        may_be_cut=sha256 is None and archive in kept,
    )
