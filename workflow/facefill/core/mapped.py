"""Arrays that are mapped from files, as large as the memory or larger."""

import mmap

import numpy as np


def forget(array: np.ndarray) -> None:
    """Give back the memory of an array's pages, where they are those of a file.

    What is read of a file counts as the process's own memory, and a cluster ends a job that has too
    much of it. The pages are read again when they are needed.
    """
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)
