"""What a job's result depends on in the code, as a digest.

From the modules that a job starts with, the functions, classes and constants that they use are
followed through the local modules, by the syntax tree: nothing is imported. Comments, docstrings,
layout, type hints, log texts and error messages do not count, nor does what cannot change a result:
progress bars, the watching of processes, the checks of a configuration.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facefill.core.files import write_bytes

PLUMBING = {
    "facefill",
    "facefill.core.errors",
    "facefill.core.processes",
    "facefill.core.progress",
    "facefill.kinds",
    "facefill_stage",
}
LOGGERS = {"bar", "log", "logger", "logging", "print", "warnings"}
# What a kind says about itself without changing what it computes.
WORDS = {"captions", "example", "mean_first", "plots", "remedy"}
CHECKS = re.compile("_?check.*|extent|remark|(.*_)?work")  # names of functions
PRESENTATION = {
    "better", "decimals", "explanation", "factor", "heading", "note", "ranked", "shown",
}  # fmt: skip
MODULE = ""  # the name under which a module's statements are kept that define nothing
VERSION = 1  # of the cache's format


@dataclass
class _Symbol:
    """A function, class or constant of a module, or its other statements."""

    digest: str
    names: list[str]  # that it uses: "name", or "name.attribute"
    imports: dict[str, list[str]]  # its own imports: local name -> module and name


class Code:
    """The code below `roots`, which are searched as sys.path is. `cache` is a file, or None."""

    def __init__(self, roots: list[Path], cache: Path | None = None):
        self._roots, self._cache = roots, cache
        self._known = _read_cache(cache) if cache else {}
        self._used: dict[str, dict] = {}  # the part of `_known` that somebody has asked for
        self._changed = False
        self._modules: dict[str, dict[str, _Symbol]] = {}
        self._files: dict[str, Path | None] = {}

    def digest(self, modules: Iterable[str], presentation: bool = False) -> str:
        """A digest of all that `modules` define and of what that uses.

        With `presentation` the words of tables and plots count, too.
        """
        reached: set[tuple[str, str]] = set()
        waiting = [(module, "") for module in modules]
        lines = set()
        while waiting:
            module, name = waiting.pop()
            if (module, name) in reached or module in PLUMBING:
                continue
            reached.add((module, name))
            symbols = self._symbols(module, presentation)
            for chosen in symbols if name == "" else {name, MODULE} & set(symbols):
                symbol = symbols[chosen]
                lines.add(f"{module}:{chosen}:{symbol.digest}")
                waiting += self._uses(module, symbols, symbol, presentation)
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]

    def save(self) -> None:
        """Write the cache, where anything was read anew."""
        if self._cache is not None and self._changed:
            content = {"version": VERSION, "files": self._used}
            with suppress(OSError):  # it saves time, nothing else
                self._cache.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(self._cache, json.dumps(content).encode())

    def _uses(
        self, module: str, symbols: dict[str, _Symbol], symbol: _Symbol, presentation: bool
    ) -> list[tuple[str, str]]:
        found = []
        imports = symbols[MODULE].imports | symbol.imports
        for used in symbol.names:
            name, _, attribute = used.partition(".")
            if name in symbols:
                found.append((module, name))
            elif name in imports:
                target, inner = self._target(*imports[name])
                found.append((target, inner or attribute))
        return [target for target in found if self._file(target[0])]

    def _target(self, module: str, name: str) -> tuple[str, str]:
        """What `from module import name` gives: a module, or a name of one."""
        inner = f"{module}.{name}"
        return (inner, "") if name and self._file(inner) else (module, name)

    def _file(self, module: str) -> Path | None:
        if module not in self._files:
            places = [root.joinpath(*module.split(".")) for root in self._roots]
            files = [file for at in places for file in (at.with_suffix(".py"), at / "__init__.py")]
            self._files[module] = next(filter(Path.is_file, files), None)
        return self._files[module]

    def _symbols(self, module: str, presentation: bool) -> dict[str, _Symbol]:
        key = f"{module} {presentation}"
        if key not in self._modules:
            file = self._file(module)
            self._modules[key] = self._read(module, file, presentation) if file else {}
        return self._modules[key]

    def _read(self, module: str, file: Path, presentation: bool) -> dict[str, _Symbol]:
        text = file.read_bytes()
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        key = hashlib.sha256(f"{package} {presentation} ".encode() + text).hexdigest()
        if key not in self._known:
            tree = ast.parse(text, str(file))
            ignored = WORDS if presentation else WORDS | PRESENTATION
            symbols = _symbols_of(_Stripped(ignored).visit(tree), package)
            self._known[key] = {name: vars(symbol) for name, symbol in symbols.items()}
            self._changed = True
        self._used[key] = self._known[key]
        return {name: _Symbol(**fields) for name, fields in self._known[key].items()}


def _read_cache(file: Path) -> dict[str, dict]:
    try:
        content = json.loads(file.read_bytes())
        return content["files"] if content["version"] == VERSION else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # it saves time, nothing else


def _symbols_of(tree: ast.Module, package: str) -> dict[str, _Symbol]:
    statements: dict[str, list[ast.stmt]] = {MODULE: []}
    for statement in tree.body:
        for name in _defined(statement) or [MODULE]:
            statements.setdefault(name, []).append(statement)
    return {name: _symbol(found, package) for name, found in statements.items()}


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    nodes = [node for target in targets for node in ast.walk(target)]
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    return names if all(isinstance(target, ast.Name | ast.Tuple) for target in targets) else []


def _symbol(statements: list[ast.stmt], package: str) -> _Symbol:
    names: set[str] = set()
    attributed: set[int] = set()
    imports: dict[str, list[str]] = {}
    kept = []
    for statement in statements:
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            kept.append(ast.dump(statement, annotate_fields=False))
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                imports |= {alias.asname or alias.name: [alias.name, ""] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parents = package.split(".")
                    parents = parents[: len(parents) - node.level + 1]
                    base = ".".join([*parents, *filter(None, [base])])
                imports |= {alias.asname or alias.name: [base, alias.name] for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names.add(f"{node.value.id}.{node.attr}")
                attributed.add(id(node.value))  # the walk comes to it later
            elif isinstance(node, ast.Name) and id(node) not in attributed:
                names.add(node.id)
    digest = hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]
    return _Symbol(digest, sorted(names), imports)


class _Stripped(ast.NodeTransformer):
    """Takes out of a module what does not count."""

    def __init__(self, ignored: set[str]):
        self._ignored = ignored

    def visit_Module(self, node: ast.Module) -> ast.Module:
        return self._body(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return self._body(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        kept = [statement for statement in node.body if not self._is_description(statement)]
        node.body = kept or [ast.Pass()]
        return self._body(node)

    def _is_description(self, statement: ast.stmt) -> bool:
        """Whether a statement of a class computes nothing that a result depends on."""
        if isinstance(statement, ast.FunctionDef):
            return bool(CHECKS.fullmatch(statement.name))
        return bool(set(_defined(statement)) & self._ignored)

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        value = node.value
        if isinstance(value, ast.Constant):  # a docstring
            return ast.Pass()
        if isinstance(value, ast.Call):
            called = value.func
            while isinstance(called, ast.Attribute):
                called = called.value
            if isinstance(called, ast.Name) and called.id in LOGGERS:
                return ast.Pass()
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        node.cause = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in ("setting", "reference"):  # the sentence about a setting
            node.keywords = [word for word in node.keywords if word.arg != "doc"]
            node.args = node.args[:1] if called == "setting" else node.args
        if called == "progress":
            text = ast.JoinedStr | ast.Constant
            node.args = [argument for argument in node.args if not isinstance(argument, text)]
        return self.generic_visit(node)

    def _body(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        node.body = [item for item in node.body if not isinstance(item, ast.Pass)] or [ast.Pass()]
        return node
