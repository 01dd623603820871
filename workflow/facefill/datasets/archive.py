"""Photos in an archive that is downloaded."""

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from facefill.core.errors import FacefillError
from facefill.core.files import local_path
from facefill.datasets import IDENTITY, Dataset
from facefill.kinds import Config, declare, setting

URLS = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "pattern": "^(https?://|file://|gdrive:).+"},
}
FILE_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*(?!\\n)$"
SHA256 = {"type": ["string", "null"], "minLength": 1}  # `check` says what it may hold
OTHER_SUMS = {32: "an MD5", 40: "a SHA-1", 56: "a SHA-224", 96: "a SHA-384", 128: "a SHA-512"}
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

    rule, downloads = "download", True
    strip = True  # an archive never grows a second top folder

    @classmethod
    def plain(cls, entry):
        files = [_plain(file) for file in (entry, *entry["extras"])]
        return files[0] | {"extras": files[1:]}

    def check(self, key, config):
        extras = {f"{key}.extras.{n}": extra["sha256"] for n, extra in enumerate(self.extras)}
        for place, text in ({key: self.sha256} | extras).items():
            if text is not None and not re.fullmatch("[0-9a-f]{64}", text):
                other = OTHER_SUMS.get(len(text)) if re.fullmatch("[0-9a-f]+", text) else None
                other = f"{other}, " if other else ""
                raise FacefillError(
                    f"config: {place}.sha256 is {text[:80]!r}, {other}expected the 64 digits of a"
                    " SHA-256 (type sha256sum FILE), or null"
                )

    def content(self, sha256):
        """Checksums, or addresses without one: another mirror is no reason to run again."""
        extras = {
            extra["name"]: _content(extra["urls"], extra["sha256"], sha256) for extra in self.extras
        }
        return [_content(self.urls, self.sha256, sha256), extras]

    def make_raw(self, raw, *, extra, cache, threads):
        from facefill.download import download

        return download(list(self.urls), self.sha256, list(self.extras), cache, raw)


def _plain(file: Config) -> Config:
    """Write addresses without blanks, and a SHA-256 as hashlib does, whatever a web page has."""
    sha256 = file["sha256"] and re.sub(r"^sha-?256[:=\s]\s*", "", file["sha256"].strip().lower())
    return file | {"urls": [url.strip() for url in file["urls"]], "sha256": sha256}


def _content(
    urls: Sequence[str], pinned: str | None, sha256: Callable[[str], str]
) -> str | list[str]:
    """What decides one file: its checksum, that of a file of this machine, or the addresses."""
    if pinned:
        return pinned
    paths = {url: local_path(url) for url in urls if url.startswith("file://")}
    here = {url: path for url, path in paths.items() if os.path.isfile(path)}
    return [sha256(here[url]) if url in here else url for url in urls]
