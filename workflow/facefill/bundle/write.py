"""Writing a bundle: equal contents, equal bytes."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facefill.bundle import CONTENTS, FORMAT
from facefill.core.files import add_to_zip, atomic, sha256_bytes


def write_bundle(
    path: Path | str, contents: Mapping[str, Any], members: Mapping[str, bytes]
) -> None:
    """Write a bundle of `members`, by name, and of `bundle.json`, which lists them.

    `contents` are what `bundle.json` says beside its format and the members: see facefill.bundle.
    """
    names = sorted(members)
    facts = {n: {"bytes": len(members[n]), "sha256": sha256_bytes(members[n])} for n in names}
    told = {"format": FORMAT, **contents, "members": facts}
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    with atomic(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        add_to_zip(archive, CONTENTS, text.encode("utf-8", errors="backslashreplace"))
        for name in names:
            add_to_zip(archive, name, members[name])
