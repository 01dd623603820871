"""Which local modules a script is made of: the code that counts as its input."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def closure(script: Path, roots: list[Path]) -> list[Path]:
    """Return `script` and every module under `roots` that it imports, directly or not, sorted.

    Read from the syntax tree, so that nothing is imported. `roots` are searched as sys.path is;
    importing a module of a package runs the package's __init__.py, which therefore counts too.
    Every file is read once per process.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imported(file, tuple(roots)))
    return sorted(found)


@cache
def _imported(file: Path, roots: tuple[Path, ...]) -> frozenset[Path]:
    """The local files that `file` imports itself."""
    return frozenset(path for name in _names(file, roots) for path in _files(name, roots))


def _names(file: Path, roots: tuple[Path, ...]) -> set[str]:
    names = set()
    for node in _statements(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = _package(file, roots)
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
            # `from package import module` names a module or merely something in it.
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return names


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements, however deep: an expression, where most nodes are, holds no import."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                waiting.append(child)


def _package(file: Path, roots: tuple[Path, ...]) -> list[str]:
    root = next(root for root in roots if root in file.parents)
    return list(file.parent.relative_to(root).parts)


@cache
def _files(name: str, roots: tuple[Path, ...]) -> list[Path]:
    """The files that `import name` runs: the module and the packages around it."""
    files = []
    for root in roots:
        place = root
        for part in name.split("."):
            place = place / part
            candidates = [place / "__init__.py", place.with_name(place.name + ".py")]
            files += [candidate for candidate in candidates if candidate.is_file()]
    return files
