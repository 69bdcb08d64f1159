"""Keeping the tables of strategies, versions and files true to the files that there are, without a restart."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from strategies import registry
from strategies.domain.base import UnknownStrategy
from strategies.domain.codes import SHIPPED, Code, Described, DoesNotLoad, described
from strategies.models import Strategy, StrategyFile, StrategyVersion
from strategies.probe import Result, Trial, tried
from strategies.registry import File


def catalogue_refresh(*, again: bool = False) -> list[StrategyFile]:
    """Look at every file: register what is new, mark what has gone, write down what is wrong. A file that failed
    is tried again when it has changed, or `again`. Costs a look at each file's time where nothing has changed."""
    every = registry.files()
    results = _results(every, again=again)
    with transaction.atomic():
        installed = [
            version.pk
            for file, result in zip(every, results, strict=True)
            if not result.faults
            for version in _registered(file.code, result.strategies)
        ]
        StrategyVersion.objects.filter(is_installed=True).exclude(pk__in=installed).update(is_installed=False)
        StrategyVersion.objects.filter(is_installed=False, pk__in=installed).update(is_installed=True)
        StrategyFile.objects.exclude(file__in=[file.code.file for file in every]).delete()
        return [_noted(file, result) for file, result in zip(every, results, strict=True)]


def files_tried() -> list[tuple[File, Result]]:
    """Every file with what came of it, each tried now: without the tables, where there is no database."""
    every = registry.files()
    found = {place: result for place, file in enumerate(every) if (result := _seen(file))}
    return list(zip(every, _tried(every, found), strict=True))


def version_installed(name: str) -> StrategyVersion:
    """The version of a strategy that a new deployment is made of. Raises UnknownStrategy, DoesNotLoad."""
    code = registry.code_of(name)
    [file] = [file for file in registry.files() if file.code == code]
    [result] = _results([file], again=False)
    if result.faults:
        raise DoesNotLoad(code.file, result.faults[0])
    for version in _registered(code, result.strategies):
        if version.strategy.name == name:
            return version
    raise UnknownStrategy(f"{code.file} has no strategy named {name!r}")


def _results(every: Sequence[File], *, again: bool) -> list[Result]:
    """What came of each file: seen at once, known from the tables, or tried now in a process of its own."""
    found = {place: result for place, file in enumerate(every) if (result := _known(file, again=again))}
    return _tried(every, found)


def _tried(every: Sequence[File], found: dict[int, Result]) -> list[Result]:
    """The results of all files: those that are not found by their place are tried in a process of their own."""
    unknown = [place for place in range(len(every)) if place not in found]
    trials = [Trial(every[place].code, every[place].offers) for place in unknown]
    found |= zip(unknown, tried(trials, limit_s=settings.STRATEGY_SECONDS), strict=True)
    return [found[place] for place in range(len(every))]


def _seen(file: File) -> Result | None:
    """What needs no trial."""
    if file.faults or not file.offers:
        return Result(faults=file.faults)
    return _described(file) if file.code.origin == SHIPPED else None


def _known(file: File, *, again: bool) -> Result | None:
    if seen := _seen(file):
        return seen
    names = {offer.name for offer in file.offers}
    versions = StrategyVersion.objects.filter(source_hash=file.code.hash, file=file.code.file)
    rows = versions.filter(strategy__name__in=names).select_related("strategy").defer("source")
    if {row.strategy.name for row in rows} == names:
        strategies = tuple(
            Described(row.strategy.name, row.version, row.strategy.title, "", row.schema) for row in rows
        )
        return Result(strategies=strategies)
    failed = StrategyFile.objects.filter(file=file.code.file, source_hash=file.code.hash).exclude(faults=[])
    if not again and (row := failed.first()):
        return msgspec.convert({"faults": row.faults}, Result)
    return None


def _described(file: File) -> Result:
    try:
        return Result(tuple(described(file.code, offer) for offer in file.offers))
    except DoesNotLoad as error:
        return Result(faults=(error.fault,))


def _registered(code: Code, strategies: Sequence[Described]) -> list[StrategyVersion]:
    return [_version(code, one) for one in strategies]


def _version(code: Code, one: Described) -> StrategyVersion:
    strategy, _ = Strategy.objects.get_or_create(
        name=one.name, defaults={"title": one.title[:120], "description": one.description}
    )
    version, _ = StrategyVersion.objects.defer("source").get_or_create(
        strategy=strategy,
        version=one.version,
        source_hash=code.hash,
        defaults={
            "source": code.source,
            "file": code.file,
            "module": code.module,
            "origin": code.origin,
            "schema": one.schema,
        },
    )
    return version


def _noted(file: File, result: Result) -> StrategyFile:
    facts = {
        "origin": file.code.origin,
        "source_hash": file.code.hash,
        "strategies": [one.name for one in result.strategies],
        "faults": [msgspec.to_builtins(fault) for fault in result.faults],
    }
    row, is_new = StrategyFile.objects.get_or_create(
        file=file.code.file, defaults=facts | {"changed_at": timezone.now()}
    )
    if not is_new and any(getattr(row, name) != value for name, value in facts.items()):
        for name, value in facts.items():
            setattr(row, name, value)
        row.changed_at = timezone.now()
        row.save()
    return row
