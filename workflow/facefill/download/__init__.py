"""From the addresses of an archive to a folder of raw photos."""

import shutil
from pathlib import Path

from facefill.download.extract import extract as unpack
from facefill.download.fetch import fetch as get
from facefill.errors import FacefillError


def download(
    urls: list[str], sha256: str | None, extras: list[dict], cache: Path | str, raw: Path | str
) -> int:
    """Fetch an archive, unpack it to `raw`, put the extras into it; return the number of files.

    Each of `extras` is {"name": file name, "urls": [...], "sha256": checksum or None}. All is
    fetched before anything is unpacked. Raises FacefillError as `fetch` and `extract` do.
    """
    archive = get(urls, sha256, cache)
    files = {extra["name"]: get(extra["urls"], extra.get("sha256"), cache) for extra in extras}
    count = unpack(archive, raw)
    for name, file in files.items():
        target = Path(raw) / name
        if target.exists():
            raise FacefillError(
                f"{archive}: holds {name!r}, as one of the dataset's extras is named; rename that"
            )
        shutil.copyfile(file, target)
    return count + len(files)
