"""Takes out each protection of protections.yaml in a copy and runs the test that must notice it.

Words on the command line choose entries that contain one of them. Ends with exit code 1 when a
test stays green, or when the table no longer fits the project.
"""

import ast
import os
import queue
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("protections.yaml")
COPIES = 2  # at work side by side
LIMIT = 300  # seconds for one test
# What a test raises when the change has broken the program instead of its protection.
BROKEN = ("SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError", "NameError")
BROKEN += ("UnboundLocalError",)


@dataclass(frozen=True)
class Protection:
    """An entry of the table; its head says what each key means."""

    part: str
    protects: str
    file: str
    text: str
    without: str
    test: str

    @property
    def test_file(self) -> str:
        return self.test.partition("::")[0]

    @property
    def test_name(self) -> str:
        return self.test.partition("::")[2]


def read() -> list[Protection]:
    parts = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return [Protection(part, **entry) for part, entries in parts.items() for entry in entries]


def misfit(one: Protection) -> str:
    """Why an entry does not fit the project as it lies here; "" if it does."""
    for file in (one.file, one.test_file):
        if not (ROOT / file).is_file():
            return f"{file}: no such file"
    text = (ROOT / one.file).read_text(encoding="utf-8")
    if not one.text or text.count(one.text) != 1:
        return f"{one.file} holds {one.text!r} {text.count(one.text)} times, expected once"
    if one.file.endswith(".py"):
        try:
            compile(text.replace(one.text, one.without), one.file, "exec")
        except SyntaxError as error:
            return f"{one.file} is no Python without it: {error}"
    if one.test_name.partition("[")[0] not in _functions(one.test_file):
        return f"{one.test_file} has no {one.test_name}"
    return ""


@cache
def _functions(file: str) -> set[str]:
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


class Copy:
    """A copy of the project to take protections out of."""

    def __init__(self, home: Path):
        self.home, self.folder = home, home / "project"
        ignored = shutil.ignore_patterns("results", ".*", "__pycache__")
        shutil.copytree(ROOT, self.folder, ignore=ignored)

    def pytest(self, *arguments: str, limit: float) -> tuple[str, list[ElementTree.Element]]:
        """Run pytest; return the last it said, and its record of every test."""
        results = self.home / "results.xml"
        results.unlink(missing_ok=True)
        process = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *(f"--basetemp={self.home / 'tmp'}", f"--junitxml={results}", *arguments),
            ],
            cwd=self.folder,
            # Python would take a file of equal length and second for the one that it has compiled.
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
        )
        if not results.exists():
            raise RuntimeError(process.stdout[-3000:])
        return process.stdout, list(ElementTree.parse(results).iter("testcase"))

    def without(self, one: Protection) -> str:
        """Run the test without the protection; return its complaint. Raises Unnoticed."""
        file = self.folder / one.file
        whole = file.read_text(encoding="utf-8")
        file.write_text(whole.replace(one.text, one.without), encoding="utf-8")
        try:
            output, tests = self.pytest("-x", one.test, limit=LIMIT)
        except subprocess.TimeoutExpired:
            raise Unnoticed(f"the test does not end within {LIMIT} s") from None
        except RuntimeError as error:
            raise Unnoticed(f"pytest ends early: {_last_line(str(error))}") from None
        finally:
            file.write_text(whole, encoding="utf-8")
        for error in _children(tests, "error"):
            raise Unnoticed(f"error at import or before the test: {_first_line(error)}")
        for failure in _children(tests, "failure"):
            if failure.get("message", "").startswith(BROKEN):
                raise Unnoticed(f"the change breaks the program: {_first_line(failure)}")
            return _first_line(failure)
        raise Unnoticed(f"the test stays green: {_last_line(output)}")


class Unnoticed(Exception):
    """No test failed as it should, and why."""


def _children(tests: list[ElementTree.Element], tag: str) -> list[ElementTree.Element]:
    return [child for test in tests for child in test.iter(tag)]


def _first_line(problem: ElementTree.Element) -> str:
    text = (problem.get("message") or problem.text or "").strip()
    return text.partition("\n")[0][:160]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][:160]


def untouched(copy: Copy, chosen: list[Protection]) -> dict[str, str]:
    """Run all tests on the project as it is; return what is wrong by test."""
    names = sorted({one.test for one in chosen})
    output, tests = copy.pytest("--numprocesses", str(COPIES), *names, limit=LIMIT * COPIES)
    wrong = {}
    for name in names:
        file, _, function = name.partition("::")
        module = file.removesuffix(".py").replace("/", ".")
        own = [
            test
            for test in tests
            if test.get("classname") == module
            and function in (test.get("name"), test.get("name").partition("[")[0])
        ]
        problems = _children(own, "failure") + _children(own, "error")
        if problems:
            wrong[name] = f"fails on the untouched code: {_first_line(problems[0])}"
        elif len(own) == len(_children(own, "skipped")):  # also where there is none
            wrong[name] = f"does not run on the untouched code: {_last_line(output)}"
    return wrong


def main(words: list[str]) -> int:
    every = read()
    chosen = [one for one in every if not words or any(word in str(one) for word in words)]
    begun = time.monotonic()
    with TemporaryDirectory(prefix="protections-") as home:
        copies = [Copy(Path(home, str(number))) for number in range(COPIES)]
        free: queue.Queue[Copy] = queue.Queue()
        for copy in copies:
            free.put(copy)
        fitting = [one for one in chosen if not misfit(one)]
        wrong = untouched(copies[0], fitting) if fitting else {}
        print(f"untouched, {len(wrong)} of the tests do not pass", flush=True)

        def judge(one: Protection) -> tuple[str, str]:
            """("ok" or "FAULT", what there is to say)."""
            fault = misfit(one) or wrong.get(one.test, "")
            if fault:
                return "FAULT", fault
            copy = free.get()
            try:
                return "ok", copy.without(one)
            except Unnoticed as reason:
                return "FAULT", str(reason)
            finally:
                free.put(copy)

        faults = 0
        with ThreadPoolExecutor(COPIES) as pool:
            for one, (verdict, says) in zip(chosen, pool.map(judge, chosen), strict=True):
                faults += verdict == "FAULT"
                test = one.test.rpartition("/")[2]
                print(f"{verdict:5} {one.part}: {one.protects} [{test}: {says}]", flush=True)
    seconds = time.monotonic() - begun
    print(f"{len(chosen)} protections, {faults} faults, {seconds:.0f} s")
    return int(faults > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
