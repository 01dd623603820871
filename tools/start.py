"""Start Snakemake where it would end in a traceback before it reads the Snakefile; `make run` does.

In a container the user may have no name and no home that can be written; a --configfile may be
missing or no text. Needs nothing but what Snakemake needs.
"""

import atexit
import getpass
import os
import shutil
import sys
import tempfile
from pathlib import Path

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"


def prepare() -> None:
    """Give Snakemake and the libraries a user's name, and a folder for their caches."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # no such user in /etc/passwd
        os.environ["LOGNAME"] = f"user-{os.getuid()}"
    if not _can_be_written(Path.home()):
        os.environ["HOME"] = tempfile.mkdtemp(prefix="facefill-home-")
        atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)


def _can_be_written(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def config_files(arguments: list[str]) -> list[str]:
    """The files behind --configfile or --configfiles, up to the next option."""
    files, reading = [], False
    for argument in arguments:
        name, _, value = argument.partition("=")
        if argument.startswith("-"):
            reading = name in ("--configfile", "--configfiles")
            files += [value] if reading and value else []
        elif reading:
            files.append(argument)
    return files


def main(arguments: list[str]) -> None:
    sys.path.insert(0, str(WORKFLOW))
    from facefill.config import read_yaml
    from facefill.core.errors import FacefillError

    try:
        for file in config_files(arguments):
            read_yaml(file)
    except FacefillError as error:
        sys.exit(f"facefill: {error}")
    prepare()
    from snakemake.cli import main as snakemake  # now: it looks for the home folder

    sys.argv = ["snakemake", *arguments]
    sys.exit(snakemake(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
