"""Progress that reads well on a terminal and in a file."""

import sys

from tqdm import tqdm

UP = "\x1b[A"  # how tqdm goes back to the line of a bar around another


class _Lines:
    """A stream that ends every redrawn bar with a newline, for logs and pipes."""

    def write(self, text: str) -> None:
        text = text.replace("\r", "").replace(UP, "").strip()
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(total: int, task: str, unit: str) -> tqdm:
    """Return a bar over `total` steps; use it as a context manager and call `update`.

    A terminal sees it move; elsewhere it is one line every 10 seconds.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=task,
        unit=f" {unit}",
        file=sys.stderr if terminal else _Lines(),
        mininterval=0.5 if terminal else 10,
        dynamic_ncols=terminal,
        ncols=None if terminal else 100,
        leave=not terminal,
    )
