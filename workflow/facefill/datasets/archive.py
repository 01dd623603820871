"""Photos in an archive that is downloaded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from facefill.datasets import IDENTITY, Dataset
from facefill.kinds import declare, setting

URLS = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "pattern": "^(https?://|file://|gdrive:).+"},
}
FILE_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*(?!\\n)$"
SHA256 = {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}(?!\\n)$"}
EXTRA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "urls"],
    "properties": {
        "name": {"type": "string", "pattern": FILE_NAME, "description": "file name"},
        "urls": URLS,
        "sha256": SHA256 | {"default": None},
    },
}


@declare
class Archive(Dataset):
    """Downloads an archive into the cache and extracts it."""

    urls: tuple[str, ...] = setting(
        doc="mirrors, tried in order (https://, http://, file:// or gdrive:FILE_ID)", schema=URLS
    )
    sha256: str | None = setting(None, "checksum of the file; null = not checked", schema=SHA256)
    identity: Any = setting("folder", IDENTITY["description"], schema=IDENTITY)
    extras: tuple[dict[str, Any], ...] = setting(
        (), "single files placed beside the photos", schema={"type": "array", "items": EXTRA}
    )

    rule = "download"
    strip = True  # an archive never grows a second top folder

    def content(self, sha256):
        """Checksums, or addresses without one: another mirror is no reason to run again."""
        extras = {extra["name"]: _content(**extra, checksum=sha256) for extra in self.extras}
        return [_content(self.urls, self.sha256, checksum=sha256), extras]

    def make_raw(self, raw, *, extra, cache, threads):
        from facefill.download import download

        return download(list(self.urls), self.sha256, list(self.extras), cache, raw)


def _content(
    urls: Sequence[str], sha256: str | None, name: str = "", *, checksum: Callable[[Path], str]
) -> str | list[str]:
    """What decides one file: a checksum, that of a file of this machine, or the addresses."""
    if sha256:
        return sha256
    return [
        checksum(local_path(url))
        if url.startswith("file://") and local_path(url).is_file()
        else url
        for url in urls
    ]


def local_path(url: str) -> Path:
    """The path of a file:// address."""
    return Path(unquote(url.removeprefix("file://").removeprefix("localhost")))
