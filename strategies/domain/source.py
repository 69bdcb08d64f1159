"""A file of strategies read without running it: what it offers, and what of it cannot be pure.

This is a seat belt against mistakes, no jail: who may drop a file into the folder may run code here."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

import msgspec

NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
VERSION = re.compile(r"[A-Za-z0-9._-]{1,20}")

# of the standard library, what only computes; of our own, what is pure itself
PURE_STANDARD = {
    "__future__", "abc", "array", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "graphlib", "heapq", "itertools", "math", "numbers", "operator",
    "re", "statistics", "string", "struct", "textwrap", "types", "typing", "zlib", "zoneinfo",
}  # fmt: skip
OWN = ("accounts", "alphapanda", "execution", "marketdata", "portfolio", "risk", "strategies")
IMPURE_FOREIGN = {
    "aiohttp", "asgiref", "autobahn", "boto3", "celery", "channels", "confluent_kafka", "daphne", "django", "environ",
    "httpx", "kafka", "kiteconnect", "kombu", "psutil", "psycopg", "redis", "requests", "rest_framework",
    "sqlalchemy", "structlog", "twisted", "urllib3", "websocket", "websockets", "yfinance",
}  # fmt: skip
IMPURE_CALLS = {
    "__import__", "breakpoint", "compile", "eval", "exec", "hash", "id", "input", "open", "print",
}  # fmt: skip
IMPURE_METHODS = {"now", "today", "utcnow", "uuid1", "uuid4"}
RANDOM = ("numpy.random", "np.random")


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a file, and in which line (0: in no single one)."""

    line: int
    text: str


class Offer(msgspec.Struct, frozen=True):
    """A strategy that a file says it has."""

    name: str
    version: str
    line: int


class Reading(msgspec.Struct, frozen=True):
    """What can be seen in a file."""

    offers: tuple[Offer, ...]
    faults: tuple[Fault, ...]


def read(source: str, *, may_import: str = "") -> Reading:
    """Read a file; `may_import` is the package that it belongs to, if any, whose modules it may use."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        return Reading((), (Fault(line, f"is no Python: {getattr(error, 'msg', error)}"),))
    faults = [*_imports(tree, may_import), *_calls(tree), *_statements(tree)]
    offers: list[Offer] = []
    for offer in _offers(tree):
        fault = _misnamed(offer, [other.name for other in offers])
        offers.append(offer)
        faults += [fault] if fault else []
    if not offers and not faults:
        faults.append(Fault(0, 'has no strategy: a class with `name = "…"` in its body'))
    return Reading(tuple(offers), tuple(sorted(faults, key=lambda fault: fault.line)))


def _misnamed(offer: Offer, before: list[str]) -> Fault | None:
    if offer.name in before:
        return Fault(offer.line, f"a strategy named {offer.name!r} is already above")
    if not NAME.fullmatch(offer.name):
        return Fault(offer.line, f"the name {offer.name!r} must be small letters, digits and _, at most 60")
    if not VERSION.fullmatch(offer.version):
        return Fault(offer.line, f"the version {offer.version!r} must be 1 to 20 letters, digits, . _ or -")
    return None


def _imports(tree: ast.Module, may_import: str) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level and not may_import:
                yield Fault(node.lineno, "imports a neighbour: a file of the folder stands by itself")
                continue
            names = [] if node.level else [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Fault(node.lineno, why) for name in names if (why := _impure(name, may_import)))


def _impure(name: str, may_import: str) -> str:
    """Why a module may not be imported; empty where it may."""
    top, parts = name.partition(".")[0], name.split(".")
    if top == may_import:
        return ""
    if top in OWN:
        is_pure = "domain" in parts[:2] or name.startswith("alphapanda.core.")
        return "" if is_pure else f"imports {name}: of the platform only domain and alphapanda.core are pure"
    if top in IMPURE_FOREIGN or (top in sys.stdlib_module_names and top not in PURE_STANDARD):
        return f"imports {top}: a strategy is pure, without clock, files, network or randomness"
    if name.startswith("numpy.random"):
        return "imports numpy.random: a strategy has no randomness"
    return ""


def _calls(tree: ast.Module) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id in IMPURE_CALLS:
                yield Fault(node.lineno, f"calls {function.id}()")
            elif isinstance(function, ast.Attribute) and function.attr in IMPURE_METHODS:
                yield Fault(node.lineno, f"calls {function.attr}(): the time is view.at_ms")
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in RANDOM:
            yield Fault(node.lineno, f"uses {ast.unparse(node)}: a strategy has no randomness")


def _statements(tree: ast.Module) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield Fault(node.lineno, "remembers in a global: what must be remembered stands in State")
        elif isinstance(node, ast.ExceptHandler) and _catches_all(node):
            yield Fault(node.lineno, "catches everything, also the time limit: name the errors")


def _catches_all(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or ast.unparse(kind) == "BaseException" for kind in kinds)


def _offers(tree: ast.Module) -> Iterator[Offer]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.bases and (name := _text(node, "name")):
            yield Offer(name, _text(node, "version") or "1", node.lineno)


def _text(node: ast.ClassDef, wanted: str) -> str:
    """The text that a class's body gives to a name; empty where it gives none."""
    for statement in node.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        is_wanted = any(isinstance(target, ast.Name) and target.id == wanted for target in targets)
        value = getattr(statement, "value", None)
        if is_wanted and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""
