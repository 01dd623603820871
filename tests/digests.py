"""Checksums of everything that two builds of one configuration must agree on."""

import re
from pathlib import Path

from facefill.core.files import sha256_file

# DESIGN.md, section 1: what holds times, dates and paths. Checkpoints are no results.
VARIES = re.compile(
    r"(logs|benchmarks)/.*"
    r"|[^/]+/report/(provenance\.json|timings\.csv|timings\.png|index\.html)"
    r"|[^/]+/results\.md"
    r"|[^/]+/models/[^/]+/events/.*"
)


def digests(results: Path) -> dict[str, str]:
    """Return {path below `results`: SHA-256} of every file that must not vary."""
    files = {
        path.relative_to(results).as_posix(): path
        for path in results.rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }
    return {
        name: sha256_file(path)
        for name, path in sorted(files.items())
        if not VARIES.fullmatch(name)
    }


def differences(one: dict[str, str], two: dict[str, str]) -> list[str]:
    """The paths that only one has or that differ."""
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
