"""Which local modules a script is made of: the code that counts as its input."""

import ast
from pathlib import Path


def closure(script: Path, roots: list[Path]) -> list[Path]:
    """Return `script` and every module under `roots` that it imports, directly or not, sorted.

    Read from the syntax tree, so that nothing is imported. `roots` are searched as sys.path is;
    importing a module of a package runs the package's __init__.py, which therefore counts too.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for name in _imports(file, roots):
            waiting.extend(_files(name, roots))
    return sorted(found)


def _imports(file: Path, roots: list[Path]) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
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


def _package(file: Path, roots: list[Path]) -> list[str]:
    root = next(root for root in roots if root in file.parents)
    return list(file.parent.relative_to(root).parts)


def _files(name: str, roots: list[Path]) -> list[Path]:
    """The files that `import name` runs: the module and the packages around it."""
    files = []
    for root in roots:
        place = root
        for part in name.split("."):
            place = place / part
            candidates = [place / "__init__.py", place.with_name(place.name + ".py")]
            files += [candidate for candidate in candidates if candidate.is_file()]
    return files
