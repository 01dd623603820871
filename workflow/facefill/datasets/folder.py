"""Photos of one's own, used where they lie."""

from typing import Any

from facefill.datasets import IDENTITY, Dataset
from facefill.kinds import declare, setting


@declare
class Folder(Dataset):
    """Uses the photos of a folder and of all folders below it."""

    path: str = setting(doc="folder of photos; all folders below it count", minLength=1)
    identity: Any = setting("folder", IDENTITY["description"], schema=IDENTITY)
