"""The rules of the house as functions from a source tree to its faults."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

# Bottom up. A package imports from rows below its own; packages of one row know nothing of each other.
# A package that is named more exactly in another row belongs there: what is left of alphapanda is wiring.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("alphapanda.core",),
    (
        "alphapanda.embedded",
        "alphapanda.failpoints",
        "alphapanda.kept",
        "alphapanda.kinds",
        "alphapanda.logs",
        "alphapanda.prepared",
    ),
    ("alphapanda.env",),
    ("alphapanda.version", "alphapanda.web"),
    ("alphapanda.eventlog",),
    ("alphapanda.health", "alphapanda.push"),
    ("alphapanda.kite",),
    ("accounts", "marketdata"),
    ("strategies", "portfolio"),
    ("risk",),
    ("execution",),
    ("alphapanda",),
    ("manage",),
)
LEVEL = {package: level for level, row in enumerate(LAYERS) for package in row}

# in `domain` and `core`: no framework, I/O, clock, randomness or logging
IMPURE_MODULES = (
    "alphapanda.embedded", "alphapanda.env", "alphapanda.failpoints", "alphapanda.kept", "alphapanda.logs",
    "alphapanda.prepared", "asyncio", "celery", "channels", "concurrent", "confluent_kafka", "ctypes", "dbm",
    "django", "fcntl", "ftplib", "getpass", "glob", "http", "httpx", "io", "kombu", "logging", "mmap",
    "multiprocessing", "numpy.random", "os", "pathlib", "pgtrigger", "platform", "psutil", "psycopg", "random",
    "redis", "requests", "resource", "rest_framework", "rich", "sched", "secrets", "select", "selectors",
    "shelve", "shutil", "signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "structlog",
    "subprocess", "tempfile", "threading", "time", "tkinter", "urllib", "uuid.uuid1", "uuid.uuid4",
    "warnings", "webbrowser", "websockets",
)  # fmt: skip
IMPURE_MEMBERS = {"numpy.random", "np.random"}  # of a module that is pure but for them
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "input"}
KAFKA_CLIENTS = {
    "alphapanda/eventlog/client.py",
    "alphapanda/eventlog/topic_admin.py",
    "alphapanda/embedded/kafka.py",
}
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
NOTES = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")  # split, for this file is read too
MACHINE_PATH = re.compile(r"(?<![\w.$~<{])/(home|Users|root|work|mnt)/[\w.-]+")
SETTING = re.compile(r"\bALPHAPANDA_[A-Z][A-Z_]*[A-Z]\b")
# found by Django, Celery or the registry of strategies, by where they are
ENTRY_NAMES = {"admin.py", "apps.py", "manage.py", "models.py", "settings.py", "tasks.py"}
ENTRY_PLACES = ("/locales/", "/management/commands/", "/migrations/", "/templatetags/", "/domain/library/")
PASSED_OVER = {".env", ".git", "__pycache__", "my_strategies", "node_modules"}
TEXTS = {".py", ".md", ".html", ".js", ".css", ".toml", ".yaml", ".yml", ".sh", ".xml", ""}


@dataclass(frozen=True)
class Source:
    """A Python file of the product or of its tests."""

    path: str
    text: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")

    @property
    def is_pure(self) -> bool:
        return "/domain/" in self.path or self.path.startswith("alphapanda/core/")

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        return _nodes(self.text)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of each; `from a import b` counts as a.b, for b may be a module. A name that
        `import_module` is given counts too, where it is written out."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                within = self._origin(node)
                yield from ((node.lineno, f"{within}.{name.name}") for name in node.names)
            elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
                yield from ((node.lineno, str(x.value)) for x in node.args[:1] if isinstance(x, ast.Constant))

    def _origin(self, node: ast.ImportFrom) -> str:
        """The module that a `from … import` draws on, its leading dots resolved."""
        if not node.level:
            return node.module or ""
        steps_up = node.level - self.path.endswith("/__init__.py")
        parents = self.module.split(".")[: -steps_up or None]
        return ".".join([*parents, node.module] if node.module else parents)


@cache
def _nodes(text: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text)))


def files(root: Path) -> Iterator[Path]:
    """All files of a tree but for what tools leave there."""
    for path in sorted(root.iterdir()):
        if path.name in PASSED_OVER or (path.name.startswith(".") and path.is_dir() and path.name != ".ci"):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix in TEXTS:
            yield path


def sources(root: Path) -> list[Source]:
    """The Python files of a tree, without migrations, which Django writes."""
    found = [Source(str(p.relative_to(root)), p.read_text()) for p in files(root) if p.suffix == ".py"]
    return [source for source in found if "/migrations/" not in source.path]


def product(root: Path) -> list[Source]:
    return [source for source in sources(root) if not source.is_test]


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def package_of(name: str) -> str:
    """The package of the table that a module or a name in it belongs to; empty for what is not ours."""
    return max((package for package in LEVEL if _is_within(name, package)), key=len, default="")


# ---- rules -------------------------------------------------------------------------------------------------


def imports_point_down(root: Path) -> Iterator[str]:
    for source in product(root):
        own = package_of(source.module)
        if not own:
            yield f"{source.path}: is in no row of LAYERS"
            continue
        for line, name in source.imports():
            other = package_of(name)
            if other and other != own and LEVEL[other] >= LEVEL[own]:
                yield f"{source.path}:{line}: {own} imports {name}"


def domain_is_pure(root: Path) -> Iterator[str]:
    for source in product(root):
        if not source.is_pure:
            continue
        for line, name in source.imports():
            if any(_is_within(name, module) for module in IMPURE_MODULES):
                yield f"{source.path}:{line}: imports {name}"
            if (
                package_of(name)
                and "domain" not in name.split(".")
                and not _is_within(name, "alphapanda.core")
            ):
                yield f"{source.path}:{line}: imports {name}, which is neither domain nor core"
        for node in source.nodes:
            if isinstance(node, ast.Call) and _called(node) in IMPURE_CALLS:
                yield f"{source.path}:{node.lineno}: calls {_called(node)}()"
            if isinstance(node, ast.Attribute) and ast.unparse(node) in IMPURE_MEMBERS:
                yield f"{source.path}:{node.lineno}: uses {ast.unparse(node)}"


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def domain_needs_no_framework(root: Path) -> Iterator[str]:
    """A process of its own imports every pure module and loads neither Django nor Celery."""
    modules = [source.module for source in product(root) if source.is_pure]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "for name in ('django', 'celery', 'structlog', 'confluent_kafka'):\n"
        "    if name in sys.modules: sys.stdout.write(f'{name} was loaded\\n')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    yield from ran.stdout.splitlines()
    if ran.returncode:
        yield ran.stderr[-500:]


def one_kafka_client(root: Path) -> Iterator[str]:
    for source in product(root):
        for line, name in source.imports():
            if _is_within(name, "confluent_kafka") and source.path not in KAFKA_CLIENTS:
                yield f"{source.path}:{line}: imports {name}"


def functions_are_short(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node in source.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield f"{source.path}:{node.lineno}: {node.name} has {lines} lines"


def files_are_short(root: Path) -> Iterator[str]:
    for source in sources(root):
        lines = source.text.count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{source.path}: {lines} lines"


def nothing_is_printed(root: Path) -> Iterator[str]:
    for source in product(root):
        for node in source.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{source.path}:{node.lineno}: print"


def no_except_is_bare(root: Path) -> Iterator[str]:
    for source in sources(root):
        for node in source.nodes:
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                yield f"{source.path}:{node.lineno}: except without a type"


def no_notes_are_left(root: Path) -> Iterator[str]:
    yield from _lines_with(NOTES, root)


def no_paths_of_a_machine(root: Path) -> Iterator[str]:
    yield from _lines_with(MACHINE_PATH, root)


def _lines_with(pattern: re.Pattern[str], root: Path) -> Iterator[str]:
    for path in files(root):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if found := pattern.search(line):
                yield f"{path.relative_to(root)}:{number}: {found[0]}"


def every_module_is_used(root: Path) -> Iterator[str]:
    """Imported by a module of the product, named in a text of one (settings do), or found by its place."""
    code = product(root)
    named = {source.path: _named(source) for source in code}
    by_how_many = Counter(chain.from_iterable(named.values()))
    for source in code:
        others = by_how_many[source.module] - (source.module in named[source.path])
        if not others and not _is_entry(source):
            yield f"{source.path}: nothing imports it"


def _named(source: Source) -> set[str]:
    """What a module imports and what its texts are, and all that these are within."""
    full = {name for _, name in source.imports()} | _texts(source)
    return {
        ".".join(parts[:length])
        for parts in (name.split(".") for name in full)
        for length in range(1, len(parts) + 1)
    }


def _texts(source: Source) -> set[str]:
    return {
        node.value for node in source.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _is_entry(source: Source) -> bool:
    name = source.path.rpartition("/")[2]
    return name in ENTRY_NAMES or not source.text.strip() or any(p in source.path for p in ENTRY_PLACES)


def settings_are_in_the_readme(root: Path) -> Iterator[str]:
    readme = set(SETTING.findall((root / "README.md").read_text()))
    for path in files(root):
        relative = str(path.relative_to(root))
        if relative.startswith("tests/"):
            continue  # they also try names that there are not
        for name in set(SETTING.findall(path.read_text(errors="replace"))) - readme:
            yield f"{relative}: {name} is not in README.md"
    for name in _declared(root) - readme:
        yield f"alphapanda/env.py: {name} is not in README.md"


def _declared(root: Path) -> set[str]:
    """The settings of alphapanda/env.py: the first argument of each Setting(...)."""
    calls = [node for node in _nodes((root / "alphapanda/env.py").read_text()) if isinstance(node, ast.Call)]
    named = [call.args[0] for call in calls if _called(call) == "Setting" and call.args]
    return {f"ALPHAPANDA_{name.value}" for name in named if isinstance(name, ast.Constant)}


def texts_are_shown_as_they_are(root: Path) -> Iterator[str]:
    """Terminals come from alphapanda.web.console.screen, which reads no markup: a name may hold brackets."""
    for source in product(root):
        if source.path == "alphapanda/web/console.py":
            continue
        for node in source.nodes:
            if not isinstance(node, ast.Call):
                continue
            if _called(node) in ("Console", "get_console", "from_markup"):
                yield f"{source.path}:{node.lineno}: {_called(node)}()"
            named = {keyword.arg for keyword in node.keywords}
            if _called(node) == "Live" and "console" not in named:
                yield f"{source.path}:{node.lineno}: Live() without console="


def channels_are_named(root: Path) -> Iterator[str]:
    """Loggers come from alphapanda.logs.channel; librdkafka's goes in at the one client."""
    for source in product(root):
        if source.path in KAFKA_CLIENTS or source.path == "alphapanda/logs.py":
            continue
        for node in source.nodes:
            if isinstance(node, ast.Call) and _called(node) in ("getLogger", "get_logger"):
                yield f"{source.path}:{node.lineno}: {_called(node)}()"


RULES: tuple[Callable[[Path], Iterator[str]], ...] = (
    imports_point_down,
    domain_is_pure,
    domain_needs_no_framework,
    one_kafka_client,
    functions_are_short,
    files_are_short,
    nothing_is_printed,
    no_except_is_bare,
    no_notes_are_left,
    no_paths_of_a_machine,
    every_module_is_used,
    settings_are_in_the_readme,
    channels_are_named,
    texts_are_shown_as_they_are,
)
