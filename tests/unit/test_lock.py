"""The packages of the image are those of the environment that is tested."""

import re
from pathlib import Path

from project import ROOT


def pins(path: Path) -> dict[str, str]:
    """Version by package, both as pip compares them."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {canonical(name): version for name, version in pairs}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


LOCK = pins(ROOT / "envs/lock.txt")


def test_the_lock_has_the_pins_of_the_requirements():
    """`make lock` after a change of requirements.txt."""
    assert pins(ROOT / "envs/requirements.txt").items() <= LOCK.items()
