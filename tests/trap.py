"""Something that must never be unpickled."""

from pathlib import Path


class Trap:
    """Leaves an empty file at `path` when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))
