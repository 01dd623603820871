"""What the documents say about commands and files is so."""

import re
import shlex
import shutil
import subprocess
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator
from PIL import Image

from facefill.settings import schema
from project import ROOT, Project

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md"]
PAGES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
COMMANDS = ["README.md", "CONTRIBUTING.md", "docs/guide.md"]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
REMARK = re.compile(r"(?:^|\s)#")
# Where a command may stand: first in the line or after another, after variables, in a folder.
CALL = r"(?:^|[;|&(])\s*(?:\$ )?(?:[A-Z_]+=\S+ +)*(?:[\w./]*/)?"
END = re.compile(r"[;|&<>)]|$")


@cache
def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


# -- what each document is for -------------------------------------------------------------------


def test_the_readme_is_short():
    assert len(read("README.md").encode()) <= 12_000


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    for link in LINK.findall(FENCE.sub("", read(page))):
        if re.match("[a-z]+:", link):
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if heading:
            assert heading in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {unicodedata.normalize("NFC", title).replace(" ", "-") for title in kept}


def test_every_document_is_linked_from_the_readme():
    linked = set(LINK.findall(read("README.md")))
    linked |= {f"docs/{link}" for link in LINK.findall(read("docs/guide.md"))}
    assert set(PAGES) - {"README.md"} <= linked


def test_methods_and_masks_of_the_documents_exist():
    """Those of the guide's table, and those that the README lists."""
    config = yaml.safe_load(read("config.yaml"))
    methods = re.findall(r"^\| `(\w+)` \|", read("docs/guide.md"), re.MULTILINE)
    listed = re.search(r"^\*\*Methods\*\*.*?\n\n", read("README.md"), re.DOTALL | re.MULTILINE)[0]
    assert len(methods) >= 17 and set(methods) <= set(config["methods"])
    assert set(INLINE.findall(listed)) == set(methods)
    listed = re.search(r"^\*\*Masks\*\*.*?\.", read("README.md"), re.DOTALL | re.MULTILINE)[0]
    first, masks = "", set()
    for name in INLINE.findall(listed):  # `_top` after `half_left` is `half_top`
        first = first if name.startswith("_") else name
        masks.add(first.rpartition("_")[0] + name if name.startswith("_") else name)
    assert len(masks) >= 19 and masks <= set(config["masks"])


def test_versions_agree():
    version = re.search(r'^version = "(.+)"$', read("pyproject.toml"), re.MULTILINE)[1]
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1] == version


def test_editors_find_the_schema():
    """The first line of config.yaml names it, and it accepts what is there."""
    first = read("config.yaml").splitlines()[0]
    file = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)[1]
    assert (ROOT / file).is_file()
    Draft202012Validator(schema()).validate(yaml.safe_load(read("config.yaml")))


# -- commands ------------------------------------------------------------------------------------


def commands(text: str, program: str) -> list[list[str]]:
    """The arguments of every call of `program` that a document shows, in code only."""
    fenced = "\n".join(code for _, code in FENCE.findall(text))
    code = fenced.replace("\\\n", " ").splitlines() + INLINE.findall(FENCE.sub("", text))
    call = re.compile(CALL + re.escape(program) + r"(?=\s|[;|&<>)]|$)")
    calls = []
    for line in code:
        line = REMARK.split(line)[0]
        for found in call.finditer(line):
            rest = line[found.end() :]
            calls.append(_words(rest[: END.search(rest).start()]))
    return calls


def _words(text: str) -> list[str]:
    return re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", text)


def targets(words: list[str], with_value: set[str], with_values: set[str]) -> list[str]:
    """What is left of a call without its options and variables."""
    found, skip, skip_all = [], False, False
    for word in words:
        if word.startswith("-"):
            name, _, value = word.partition("=")
            skip = name in with_value and not value
            skip_all = name in with_values
        elif skip:
            skip = False
        elif not skip_all and "=" not in word:
            found.append(word)
    return found


# Options of Snakemake with one value, and with any number of them. What follows --until or
# --forcerun is the name of a rule and must exist, too.
ONE = {"-c", "--cores", "-j", "--jobs", "--profile", "--workflow-profile", "--report", "--sdm"}
ONE |= {"--executor", "--rerun-triggers", "--directory", "-d", "-s", "--snakefile"}
MANY = {"--config", "-C", "--configfile", "--configfiles", "--resources"}


@pytest.fixture(scope="module")
def rules(tmp_path_factory) -> set[str]:
    project = Project.new(tmp_path_factory.mktemp("rules") / "project")
    listed = project.build("--list-rules").splitlines()
    rules = {line.strip() for line in listed if re.fullmatch(r"\w+", line.strip())}
    assert {"all", "align", "train_dcgan"} <= rules
    return rules


@pytest.mark.slow
@pytest.mark.parametrize("page", COMMANDS)
def test_every_target_and_rule_in_a_command_exists(page, rules):
    calls = commands(read(page), "snakemake")
    assert calls, f"{page} shows no snakemake command"
    for words in calls:
        for target in targets(words, ONE, MANY):
            assert target in rules or target.startswith(("results/", "docs/")), (target, words)
        for rule in re.findall(r"\b(\w+)=\d+", " ".join(words).partition("--set-threads")[2]):
            assert rule in rules, (rule, words)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_every_command_and_configuration_can_be_planned(page, tmp_path):
    """As it stands; somebody's folder of photos and mask lie in the project."""
    project = Project.new(tmp_path / "project")
    shutil.copytree(ROOT / "docs", project.folder / "docs")
    for folder in ("photos", "damaged"):
        (project.folder / folder).mkdir()
    Image.fromarray(np.tri(64, dtype=np.uint8) * 255).save(project.folder / "my-mask.png")
    planned = []
    for language, code in FENCE.findall(read(page)):
        if language == "yaml":
            (project.folder / "mine.yaml").write_text(code.replace("/home/me/", ""))
            planned.append(["--configfile", "mine.yaml"])
        elif language == "sh":
            lines = [line for line in code.splitlines() if line.startswith("snakemake")]
            planned += [shlex.split(line, comments=True)[1:] for line in lines]
        while planned:
            words = [word.replace("/home/me/", "") for word in planned.pop()]
            assert "Job stats" in project.build("--dry-run", *words), words


@pytest.mark.slow
def test_every_file_that_a_document_lets_snakemake_make_can_be_made(tmp_path):
    calls = [words for page in COMMANDS for words in commands(read(page), "snakemake")]
    files = {target for words in calls for target in targets(words, ONE, MANY) if "/" in target}
    files = {file for file in files if not re.search("[{<A-Z]", file)}  # not a pattern
    project = Project.new(tmp_path / "project")
    (project.folder / "photos").mkdir()
    for file in sorted(files):
        assert "Job stats" in project.build("--dry-run", file)


@pytest.mark.parametrize("page", COMMANDS)
def test_every_make_target_of_a_command_exists(page):
    calls = commands(read(page), "make")
    assert calls, f"{page} shows no make command"
    makefile = (ROOT / "Makefile").read_text()
    known = set(re.findall(r"^([A-Za-z][\w-]*):(?!=)", makefile, re.MULTILINE))
    assert {"run", "test"} <= known
    for words in calls:
        assert set(targets(words, {"-C", "-j"}, set())) <= known, words


def test_make_knows_the_targets_that_its_first_line_promises():
    first = (ROOT / "Makefile").read_text().splitlines()[0]
    promised = re.match(r"# make ([\w |-]+)\.", first)
    assert promised, first
    for target in promised[1].split(" | "):
        done = subprocess.run(
            ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    snakemake --config dataset=lfw align   # real faces", []),
        ("snakemake -c 2 split", ["split"]),
        ("cd x && snakemake results/lfw/faces.png; make run", ["results/lfw/faces.png"]),
        ("snakemake --until align", ["align"]),
        ("snakemake", []),
        ("# let snakemake run align", []),
        ("DEBUG=1 .venv/bin/snakemake -n all", ["all"]),
        ("snakemake-report align", []),
    ],
)
def test_targets_are_found_in_commands(line, expected):
    """The reader of commands is itself worth a test."""
    calls = commands(f"```\n{line}\n```\n", "snakemake")
    assert [target for words in calls for target in targets(words, ONE, MANY)] == expected
