"""The strategies that there are: those that ship, those of installed packages (entry points of the group
`alphapanda.strategies`) and those of the operator's folder. Files are read again when they have changed; nothing
is imported until it is asked for, and what was imported stays beside what comes after it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import msgspec
from django.conf import settings

from strategies.domain import library
from strategies.domain.base import Strategy, UnknownStrategy
from strategies.domain.codes import SHIPPED, Code, loaded
from strategies.domain.source import Fault, Offer, Reading, read

GROUP = "alphapanda.strategies"
BYTES_MAX = 1 << 20


class File(msgspec.Struct, frozen=True):
    """One file with what it offers and what is wrong with it."""

    code: Code
    offers: tuple[Offer, ...]
    faults: tuple[Fault, ...]


class _Place(msgspec.Struct, frozen=True):
    path: Path
    file: str  # as people are shown it
    origin: str
    module: str = ""


_files: dict[Path, tuple[tuple[int, int], File]] = {}  # by path: its time and size, and what was read


def files() -> list[File]:
    """Every file that there is now, in the order in which names are given away."""
    taken: dict[str, str] = {}
    found = []
    for place in _places():
        file = _read(place)
        doubles = tuple(_double(offer, taken[offer.name]) for offer in file.offers if offer.name in taken)
        if doubles:
            offers = tuple(offer for offer in file.offers if offer.name not in taken)
            file = File(file.code, offers, file.faults + doubles)
        if not file.faults:
            taken |= {offer.name: file.code.file for offer in file.offers}
        found.append(file)
    return found


def _double(offer: Offer, file: str) -> Fault:
    return Fault(offer.line, f"a strategy named {offer.name!r} is already in {file}")


def names() -> list[str]:
    """The names of all strategies without a visible fault."""
    return sorted(offer.name for file in files() if not file.faults for offer in file.offers)


def find(name: str) -> type[Strategy]:
    """The class of an installed strategy. Raises UnknownStrategy, naming those that there are and the files that
    do not load; DoesNotLoad with file and line where it is there and does not load."""
    return loaded(code_of(name), name)


def code_of(name: str) -> Code:
    """The installed code of a strategy. Raises as `find`."""
    every = files()
    for file in every:
        if name in [offer.name for offer in file.offers] and not file.faults:
            return file.code
    faults = "".join(f"; {fault}" for fault in visible_faults(every))
    raise UnknownStrategy(f"no strategy is called {name!r}; there are: {', '.join(names())}{faults}")


def visible_faults(every: Iterable[File]) -> Iterator[str]:
    """What is wrong with files, as FILE:LINE: what."""
    for file in every:
        for fault in file.faults:
            yield f"{file.code.file}:{fault.line}: {fault.text}"


def source_hash(name: str) -> str:
    """SHA-256 of the installed file of a strategy. Raises as `find`."""
    return code_of(name).hash


def _places() -> Iterator[_Place]:
    for path in sorted(_python_files(library.__path__)):
        yield _Place(path, path.name, SHIPPED, f"{library.__name__}.{path.stem}")
    for point in _points(_installed()):
        path = _path_of(point)
        yield _Place(path, f"{point.module}", f"package {_package(point)}", point.module)
    folder = Path(settings.STRATEGIES)
    for path in sorted(_python_files([str(folder)])):
        yield _Place(path, f"{folder.name}/{path.name}", f"folder {folder.name}")


def _installed() -> tuple[tuple[str, int], ...]:
    """The folders that packages are installed in, each with its time: it changes when one comes or goes."""
    return tuple((folder, Path(folder).stat().st_mtime_ns) for folder in sys.path if Path(folder).is_dir())


@lru_cache(maxsize=1)
def _points(_installed: tuple[tuple[str, int], ...]) -> list[EntryPoint]:
    """Entry points of strategies; looking for them opens a file of every installed package (10 ms)."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.value)


def _python_files(folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in Path(folder).glob("*.py") if path.name[0] not in "._")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def _path_of(point: EntryPoint) -> Path:
    """The file of an entry point's module, found without importing anything."""
    path: list[str] | None = None
    for depth in range(point.module.count(".") + 1):
        name = ".".join(point.module.split(".")[: depth + 1])
        spec = PathFinder.find_spec(name, path)
        if spec is None or not spec.origin:
            return Path(point.module)
        path = list(spec.submodule_search_locations or ())
    return Path(spec.origin)


def _read(place: _Place) -> File:
    try:
        facts = place.path.stat()
        stamp = facts.st_mtime_ns, facts.st_size
        before = _files.get(place.path)
        if before is not None and before[0] == stamp:
            return before[1]
        file = _file(place, facts.st_size)
    except (OSError, UnicodeDecodeError) as error:
        return File(Code(place.file, "", place.origin), (), (Fault(0, f"cannot be read: {error}"),))
    _files[place.path] = stamp, file
    return file


def _file(place: _Place, size: int) -> File:
    if size > BYTES_MAX:
        return File(Code(place.file, "", place.origin), (), (Fault(0, f"is larger than {BYTES_MAX} bytes"),))
    code = Code(place.file, place.path.read_text(encoding="utf-8"), place.origin, place.module)
    if place.origin == SHIPPED:  # tests keep it pure, and a base class may stand in a file without a strategy
        reading = Reading(read(code.source).offers, ())
    else:
        reading = read(code.source, may_import=place.module.partition(".")[0])
    return File(code, reading.offers, reading.faults)
