"""docs/hostile-input.md: every hostile case with what its user is told, kept by the tests.

A test calls the fixture `told`; the document must hold that row. `make docs` writes it anew.
"""

import re

from project import ROOT

DOCUMENT = ROOT / "docs" / "hostile-input.md"
PARTS = {
    "photos": "Photos",
    "archives": "Archives and servers",
    "bundles": "Bundles",
    "photographs": "Photographs with holes",
    "configuration": "Configuration",
    "disk": "State on disk",
    "environment": "The user's environment",
}
HEAD = """# Hostile input

What facefill does with photos, archives, servers, configurations and disks that mean no good, or
that just went wrong. The tests in `tests/hostile` make every case and check its row; `make docs`
writes this file from them. `DIR` stands for a temporary folder, `PORT` for a port,
`SHA256` for a checksum, `NAMES` for those of the configuration.
"""


class Told:
    """What users were told so far in this run of the tests."""

    def __init__(self, writing: bool):
        self.writing = writing
        self.known = DOCUMENT.read_text(encoding="utf-8").splitlines()
        self.rows: dict[str, dict[str, None]] = {part: {} for part in PARTS}

    def __call__(self, part: str, case: str, line: str) -> None:
        """The user of `case` sees `line`: put it down, or check that the document says so."""
        row = f"| {_cell(case)} | {_cell(plain(line))} |"
        self.rows[part][row] = None
        if not self.writing:
            assert row in self.known, (
                f"docs/hostile-input.md lacks this row; run `make docs`:\n{row}"
            )

    def write(self) -> None:
        """Write the document; a row keeps its place, whatever the order of the tests."""
        text, places = HEAD, {row: place for place, row in enumerate(self.known)}
        for part, title in PARTS.items():
            rows = "\n".join(sorted(self.rows[part], key=lambda row: places.get(row, len(places))))
            text += f"\n## {title}\n\n| case | what the user sees |\n|---|---|\n{rows}\n"
        DOCUMENT.write_text(text, encoding="utf-8")


def plain(line: str) -> str:
    """The line without what differs from run to run."""
    folder = r"/[^\s;:,()'\"]*/pytest-of-[^/\s]+/pytest-\d+/(popen-gw\d+/)?[^/\s]+"
    line = re.sub(rf"(file://)?{folder}", r"\1DIR", line)
    line = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", line)
    line = re.sub(r"/downloads/[0-9a-f]{12}-", "/downloads/HASH-", line)  # of the port, too
    # One kind more is one name more.
    line = re.sub(r"(known|one of): [^;]*$", r"\1: NAMES", line)
    return re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", line)


def _cell(text: str) -> str:
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return re.sub(r"[\n\r]+", " ", text)
