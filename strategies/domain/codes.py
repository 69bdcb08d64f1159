"""The code of a strategy under the key (name, source hash): two versions of one file live beside each other."""

from __future__ import annotations

import hashlib
import importlib
import linecache
import sys
import traceback
from types import ModuleType

import msgspec

from strategies.domain.base import Strategy, UnknownStrategy
from strategies.domain.memory import kept
from strategies.domain.source import Fault, Offer

SHIPPED = "shipped"
_PACKAGE = "own_strategies"  # under which modules without a place of their own are kept
_modules: dict[tuple[str, str], ModuleType] = {}


class Code(msgspec.Struct, frozen=True):
    """One file's text. `module` is the name under which Python can import it, where it can: the file ships, or is
    of an installed package."""

    file: str
    source: str
    origin: str
    module: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 of the text."""
        return hashed(self.source)


class DoesNotLoad(UnknownStrategy):
    """A file cannot be loaded; the text names file and line."""

    def __init__(self, file: str, fault: Fault) -> None:
        super().__init__(f"{file}:{fault.line}: {fault.text}")
        self.fault = fault


class Described(msgspec.Struct, frozen=True):
    """What a class says of itself once it is loaded."""

    name: str
    version: str
    title: str
    description: str
    schema: dict[str, object]


def hashed(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def loaded(code: Code, name: str) -> type[Strategy]:
    """The class of a strategy of a file, the same one each time. Raises DoesNotLoad."""
    module = _module(code)
    classes = [member for member in vars(module).values() if isinstance(member, type)]
    for member in classes:
        if issubclass(member, Strategy) and member.__module__ == module.__name__ and member.name == name:
            return member
    raise DoesNotLoad(code.file, Fault(0, f"has no strategy named {name!r}"))


def described(code: Code, offer: Offer) -> Described:
    """Load a strategy and check that it can be configured and stored. Raises DoesNotLoad."""
    found = loaded(code, offer.name)
    try:
        _check_structs(found)
        kept(found.State(), found.State)
        schema = msgspec.json.schema(found.Params)
    except Exception as error:
        raise DoesNotLoad(code.file, Fault(offer.line, f"{offer.name}: Params or State: {error}")) from error
    if found.version != offer.version:
        fault = Fault(offer.line, f"the version must stand as a text in the body of {offer.name}")
        raise DoesNotLoad(code.file, fault)
    description = (sys.modules[found.__module__].__doc__ or found.on_bar.__doc__ or "").strip()
    return Described(found.name, found.version, found.title or found.name, description, schema)


def _check_structs(found: type[Strategy]) -> None:
    for name in ("Params", "State"):
        if not issubclass(getattr(found, name), msgspec.Struct):
            raise TypeError(f"{name} is a class of msgspec.Struct")


def _module(code: Code) -> ModuleType:
    key = code.file, code.hash
    if key not in _modules:
        _modules[key] = _shipped(code) or _made(code)
    return _modules[key]


def _shipped(code: Code) -> ModuleType | None:
    """The module of a file that ships, imported as any other; None where its text is another by now."""
    if code.origin != SHIPPED or not code.module:
        return None
    module = importlib.import_module(code.module)
    return module if _text_of(module) == code.source else None


def _text_of(module: ModuleType) -> str:
    return "".join(linecache.getlines(module.__file__ or "", vars(module)))


def _made(code: Code) -> ModuleType:
    stem = code.file.rpartition("/")[2].removesuffix(".py")
    label = f"{stem}.py@{code.hash[:8]}"  # what a traceback shows; the file itself may have changed since
    module = ModuleType(f"{_PACKAGE}.{stem}_{code.hash[:16]}")
    module.__file__ = label
    module.__package__ = code.module.rpartition(".")[0] if code.module else None
    linecache.cache[label] = len(code.source), None, code.source.splitlines(keepends=True), label
    sys.modules[module.__name__] = module  # msgspec looks up annotations there
    try:
        exec(compile(code.source, label, "exec"), vars(module))  # noqa: S102 - the very purpose
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise DoesNotLoad(code.file, _fault(error, label)) from error
    return module


def _fault(error: BaseException, label: str) -> Fault:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == label]
    line = getattr(error, "lineno", 0) if isinstance(error, SyntaxError) else (lines or [0])[-1]
    return Fault(line or 0, f"does not import: {type(error).__name__}: {error}")
