"""Bundles for tests: a good one, and every way to spoil it."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from facefill.bundle.write import write_bundle
from facefill.core.files import add_to_zip, sha256_bytes
from untrained import save_dcgan, save_encoder

CONTENTS: dict[str, Any] = {
    "facefill": "0.3.0",
    "dataset": "lfw",
    "data": {"kind": "folder"},
    "align": {"size": 32, "landmarks": "outerEyesAndNose", "zoom": 1.0, "predictor": None},
    "splits": {"train": {"faces": 3, "people": 2}},
    "methods": {"ours": {"kind": "latent", "model": "dcgan", "encoder": "encoder"}},
    "halving": {},
}
TEXTS = {
    "CARD.md": b"# lfw\n",
    "LICENSE": b"MIT\n",
    "mean.png": b"\x89PNG\r\n\x1a\n...",
    "photos.sha256": b"0" * 64 + b"\n",
    "models/dcgan/history.csv": b"epoch\n1\n",
}


def good(folder: Path) -> Path:
    """The bundle of a generator and its encoder, both untrained, in an empty folder."""
    dcgan = save_dcgan(folder / "models/dcgan")
    pairs = {"dcgan": dcgan, "encoder": save_encoder(folder / "models/encoder", dcgan)}
    members = dict(TEXTS)
    for model, files in pairs.items():
        members |= {f"models/{model}/{file.name}": file.read_bytes() for file in files}
    settings = {model: json.loads(files[1].read_text()) for model, files in pairs.items()}
    write_bundle(folder / "good.zip", CONTENTS | {"models": settings}, members)
    return folder / "good.zip"


def members_of(bundle: Path) -> dict[str, bytes]:
    """All members by name, unchecked."""
    with zipfile.ZipFile(bundle) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP as bundles are, of whatever members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            add_to_zip(archive, name, data)
    return buffer.getvalue()


def with_contents(before: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """The members with another bundle.json."""
    contents = json.loads(before["bundle.json"]) | changes
    return before | {"bundle.json": json.dumps(contents).encode()}


def honest(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members with a bundle.json that has their sizes and checksums."""
    facts = {
        name: {"bytes": len(data), "sha256": sha256_bytes(data)}
        for name, data in members.items()
        if name != "bundle.json"
    }
    return with_contents(members, members=facts)
