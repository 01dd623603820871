"""Photos of one's own, used where they lie."""

from typing import Any

from facefill.datasets import IDENTITY, Dataset
from facefill.kinds import declare, setting


@declare
class Folder(Dataset):
    """Uses the photos of a folder and of all folders below it."""

    path: str = setting(minLength=1, doc="folder of photos; all folders below it count")
    identity: Any = setting("folder", schema=IDENTITY, doc=IDENTITY["description"])
