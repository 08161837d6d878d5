"""Reads which module imports which, from the source alone, and says where an import goes against the design.

The rules: inside the daemon an import goes down a floor, or stays in its own package; of the services only
those that SERVICES_IMPORTED names may import others. The daemon and the client never import each other, the
client's library needs nothing but msgpack, and nothing but tests and bench imports tests or bench.

Every import counts, wherever it stands: in a function, under TYPE_CHECKING, relative, or by a literal name
that import_module is given. Nothing is imported to find out.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FLOORS = {
    "vocabulary": 1,
    "store": 2,
    "kernel": 3,
    "queues": 4,
    "topics": 4,
    "texting": 4,
    "mobile": 4,
    "upkeep": 4,
    "deliveries": 4,
    "protocols": 5,
    "console": 5,
    "inspection": 6,
}
COMPOSITION = 6
"""The floor of the files that stand beside the packages: __main__.py, settings.py and the like."""

SERVICES_IMPORTED = {
    "topics": {"queues"},
    "texting": {"queues", "topics"},
    "mobile": {"queues", "topics"},
    "deliveries": {"queues", "topics", "texting", "mobile"},
}
"""Which services a service may import: fan-out is a send, a message to a number or a device is published as
one to a topic is, and a delivery is a receive of what a topic, a number or a device was told."""

LIBRARY_NEEDS = frozenset({"ropeway", "msgpack"}) | sys.stdlib_module_names

ROOTS = ("broker", "client")
"""The folders that hold import packages. All other names begin at the repository."""

NOT_OURS = {"data", "build", "dist", "node_modules"}


@dataclass(frozen=True)
class Import:
    """The module `importer` imports `imported`, a module or a name in one, in the file `path` at `line`."""

    path: str
    line: int
    importer: str
    imported: str


def violations(repository: Path) -> list[str]:
    """One line for each import below `repository` that breaks a rule, and each package without a floor."""
    found = [
        f"{entry.path}:{entry.line}: {entry.importer} imports {entry.imported}: {reason}"
        for entry in imports(repository)
        if (reason := fault(entry)) is not None
    ]
    packages = sorted((repository / "broker" / "ropewayd").glob("*/"))
    strangers = [p.name for p in packages if p.name not in FLOORS and any(p.rglob("*.py"))]
    return found + [f"broker/ropewayd/{name}: a package without a floor" for name in strangers]


def fault(entry: Import) -> str | None:
    """What is wrong with an import, or None."""
    importer, imported = entry.importer.split("."), entry.imported.split(".")
    if imported[0] in ("tests", "bench") and importer[0] not in ("tests", "bench"):
        return "only tests and bench may import tests and bench"
    if entry.path.startswith("client/") and imported[0] == "ropewayd":
        return "the client never imports the daemon"
    if importer[0] == "ropewayd" and imported[0] == "ropeway":
        return "the daemon never imports the client"
    if importer[0] == "ropewayd" and imported[0] == "ropewayd":
        return fault_between_floors(importer, imported)
    if importer[0] == "ropeway" and not is_command_line(importer) and imported[0] not in LIBRARY_NEEDS:
        return "the client's library needs msgpack alone"
    return None


def fault_between_floors(importer: list[str], imported: list[str]) -> str | None:
    """What is wrong with an import inside the daemon, or None."""
    ours, theirs = floor(importer), floor(imported)
    if theirs > ours:
        return f"from floor {ours} up to floor {theirs}"
    if theirs < ours or ours in (0, COMPOSITION) or imported[1] == importer[1]:
        return None
    if imported[1] in SERVICES_IMPORTED.get(importer[1], ()):
        return None
    return f"across floor {ours}"


def floor(module: list[str]) -> int:
    """The floor of a module of the daemon; 0 for `ropewayd` itself, which holds its version alone."""
    if module[1:] in ([], ["__version__"]):
        return 0
    return FLOORS.get(module[1], COMPOSITION)


def is_command_line(module: list[str]) -> bool:
    """Whether a module of the client belongs to its command line, which has an extra of its own."""
    return module[1:2] in (["cli"], ["__main__"])


def imports(repository: Path) -> Iterator[Import]:
    """Every import in every Python file below `repository` that is ours."""
    for path in sorted(repository.rglob("*.py")):
        relative = path.relative_to(repository)
        if any(part.startswith(".") or part in NOT_OURS for part in relative.parts):
            continue
        importer = module_name(relative)
        package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_bytes(), filename=str(relative))):
            for imported in imported_by(node, package):
                yield Import(relative.as_posix(), getattr(node, "lineno", 0), importer, imported)


def module_name(relative: Path) -> str:
    """The name by which the file at `relative`, seen from the repository, is imported."""
    parts = list(relative.with_suffix("").parts)
    if parts[0] in ROOTS:
        parts.pop(0)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imported_by(node: ast.AST, package: str) -> Iterator[str]:
    """The absolute names of what one statement or call in a module of `package` imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = absolute(node.module or "", node.level, package)
        yield from (f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and called(node.func) in ("import_module", "__import__") and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            stripped = name.value.lstrip(".")
            yield absolute(stripped, len(name.value) - len(stripped), package)


def absolute(name: str, level: int, package: str) -> str:
    """The full name of what is written with `level` dots before it in a module of `package`."""
    if level == 0:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, [name])])


def called(function: ast.expr) -> str:
    """The last part of the name of what is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
