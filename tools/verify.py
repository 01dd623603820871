"""Check that results are still what the workflow made: every checksum that it wrote down.

The photos against index.csv, the faces against manifest.csv, and what the report read and wrote
against its provenance. Ends with exit code 1 after one line for every difference.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from facefill.core.errors import FacefillError
from facefill.core.files import read_table, sha256_path
from facefill.core.progress import progress

RESULTS = Path("results")
Expected = tuple[Path, str, str]  # a file or folder, its sha256, what to do when it differs


def main() -> None:
    datasets = [
        folder
        for folder in sorted(RESULTS.iterdir())
        if folder.is_dir() and folder.name not in ("logs", "benchmarks")
    ]
    problems = []
    for dataset in datasets:
        try:
            expected = [*_photos(dataset), *_faces(dataset), *_report(dataset)]
            problems += _strangers(dataset)
        except FacefillError as error:
            problems.append(str(error))
            continue
        with progress(len(expected), f"verify {dataset}", "files") as bar:
            for path, sha256, remedy in expected:
                if not path.exists():
                    problems.append(f"{path}: missing; {remedy}")
                elif sha256_path(path) != sha256:
                    problems.append(f"{path}: not what the workflow made or read; {remedy}")
                bar.update()
        print(f"facefill: {dataset}: {len(expected)} checksums compared")
    for problem in problems:
        print(f"facefill: {problem}", file=sys.stderr)
    sys.exit(bool(problems))


def _photos(dataset: Path) -> Iterator[Expected]:
    index = dataset / "index.csv"
    root = _photo_root(dataset)
    if not index.exists() or root is None:
        return
    table = read_table(index, ["source", "sha256"], text=["source", "sha256"])
    remedy = "run snakemake again to align the photos as they are now"
    if root == dataset / "raw":
        rule = "render" if (dataset / "truth.csv").exists() else "download"
        remedy = f"run snakemake --forcerun {rule}"
    for source, sha256 in zip(table["source"], table["sha256"], strict=True):
        if sha256:  # others could not be read to begin with
            yield root / source, sha256, remedy


def _photo_root(dataset: Path) -> Path | None:
    """Where the photos lie; that of a folder dataset is known from the report on."""
    if (dataset / "raw").is_dir():
        return dataset / "raw"
    facts = _provenance(dataset)
    path = facts.get("config", {}).get("datasets", {}).get(dataset.name, {}).get("path")
    return Path(path) if path else None


def _faces(dataset: Path) -> Iterator[Expected]:
    manifest = dataset / "manifest.csv"
    if not manifest.exists():
        return
    table = read_table(manifest, ["face", "sha256"], text=["face", "sha256"])
    for face, sha256 in zip(table["face"], table["sha256"], strict=True):
        if face:
            remedy = f"delete {dataset / 'faces'} and run snakemake again"
            yield dataset / "faces" / f"{face}.png", sha256, remedy


def _report(dataset: Path) -> Iterator[Expected]:
    for path, sha256 in _provenance(dataset).get("sha256", {}).items():
        own = Path(path).is_relative_to(RESULTS)  # or a mask that somebody has drawn
        yield (
            Path(path),
            sha256,
            "delete it and run snakemake again" if own else "run snakemake again",
        )


def _strangers(dataset: Path) -> Iterator[str]:
    """Faces that nobody aligned."""
    manifest, faces = dataset / "manifest.csv", dataset / "faces"
    if manifest.exists() and faces.is_dir():
        known = set(read_table(manifest, ["face"], text=["face"])["face"])
        for path in sorted(faces.glob("*.png")):
            if path.stem not in known:
                yield f"{path}: not in {manifest}; delete {faces} and run snakemake again"


def _provenance(dataset: Path) -> dict:
    path = dataset / "report" / "provenance.json"
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FacefillError(
            f"{path}: not readable ({error}); delete it and run snakemake again"
        ) from error


if __name__ == "__main__":
    main()
