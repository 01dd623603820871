"""What the README says about the configuration and the commands is so."""

import re
import subprocess
import sys

import pytest
import yaml

from project import ROOT, Project

sys.path.insert(0, str(ROOT / "workflow" / "docs"))
from configuration import SCHEMA, insert, table

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
REMARK = re.compile(r"(?:^|\s)#")
# Where a command may stand: first in the line or after another, after variables, in a folder.
CALL = r"(?:^|[;|&(])\s*(?:\$ )?(?:[A-Z_]+=\S+ +)*(?:[\w./]*/)?"
END = re.compile(r"[;|&<>)]|$")


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def schema() -> dict:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def test_the_table_of_the_configuration_is_that_of_the_schema(readme, schema):
    assert insert(readme, table(schema)) == readme, "run: make docs"


def test_the_table_notices_another_default(readme, schema):
    schema = {**schema, "properties": {**schema["properties"], "seed": {"default": 7}}}
    schema["properties"]["seed"]["description"] = "something else"
    assert insert(readme, table(schema)) != readme


def test_the_table_has_every_key_of_the_schema(schema):
    """Also of a kind that was added to the schema and forgotten in the script."""
    written = table(schema)
    for key, entry in schema["properties"].items():
        for inner in entry.get("properties", {}):
            assert f"`{key}.{inner}`" in written
    kinds = [name for name in schema["$defs"] if re.match("(dataset|model|method|mask)_", name)]
    assert len(kinds) >= 8
    for name in kinds:
        table_name, kind = name.split("_", 1)
        assert f"**of kind `{kind}`**" in written, name
        for inner in schema["$defs"][name]["properties"]:
            if inner != "kind":
                assert f"| `{table_name}s.NAME.{inner}` |" in written, f"{name}.{inner}"


def commands(readme: str, program: str) -> list[list[str]]:
    """The arguments of every call of `program` that the README shows, in code only."""
    code = "\n".join(FENCE.findall(readme)).replace("\\\n", " ").splitlines()
    code += INLINE.findall(FENCE.sub("", readme))
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
def test_every_snakemake_target_of_the_readme_exists(readme, rules):
    calls = commands(readme, "snakemake")
    assert calls, "the README shows no snakemake command"
    for words in calls:
        for target in targets(words, ONE, MANY):
            assert target in rules or target.startswith(("results/", "docs/")), (target, words)


@pytest.mark.slow
def test_every_file_that_the_readme_lets_snakemake_make_can_be_made(readme, tmp_path):
    calls = commands(readme, "snakemake")
    files = {target for words in calls for target in targets(words, ONE, MANY) if "/" in target}
    files = {file for file in files if not re.search("[{<A-Z]", file)}  # not a pattern
    project = Project.new(tmp_path / "project")
    (project.folder / "photos").mkdir()
    for file in sorted(files):
        assert "Job stats" in project.build("--dry-run", file)


def test_every_make_target_of_the_readme_exists(readme):
    calls = commands(readme, "make")
    assert calls, "the README shows no make command"
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
    """The reader of the README is itself worth a test."""
    calls = commands(f"```\n{line}\n```\n", "snakemake")
    assert [target for words in calls for target in targets(words, ONE, MANY)] == expected
