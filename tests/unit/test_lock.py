"""The packages of the image are those of the environment that is tested."""

import re
from importlib import metadata
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


def test_what_is_installed_here_is_what_the_lock_says():
    """`make` installs by the lock, or another release of some package would fail here one day."""
    versions = {canonical(one.name): one.version for one in metadata.distributions()}
    # A version after "+" says how PyTorch was built.
    installed = {name: version.partition("+")[0] for name, version in versions.items()}
    both = LOCK.keys() & installed.keys()
    assert len(both) > 50
    assert {name: installed[name] for name in both} == {name: LOCK[name] for name in both}
