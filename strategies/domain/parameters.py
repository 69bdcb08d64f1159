"""Parameters of strategies: the types that many share, each with its range and its meaning, and what a form, a
table or a page needs to know of any of them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from alphapanda.core.clock import DAY_MS, IST_OFFSET_MS

MINUTES_OF_DAY = 1_440  # buckets of bars start anew each day
LENGTH_MAX = 10_000

Quantity = Annotated[int, Meta(ge=1, le=10**9, description="units of a trade")]
BarMinutes = Annotated[int, Meta(ge=1, le=MINUTES_OF_DAY, description="length of a bar in minutes")]
Length = Annotated[int, Meta(ge=2, le=LENGTH_MAX, description="bars that are looked at")]
TimeOfDay = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="time in India, HH:MM")
]
Short = Annotated[bool, Meta(description="whether to sell short as well")]


def minute_of(text: TimeOfDay) -> int:
    """Minutes since midnight of a time such as 09:15."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def minute_at(at_ms: int) -> int:
    """Minutes since midnight in India."""
    return (at_ms + IST_OFFSET_MS) % DAY_MS // 60_000


class Parameter(msgspec.Struct, frozen=True):
    """One parameter as people are shown it. `kind` is int, float, bool, decimal, text (times and days too), choice, or
    json for what has no input of its own; `low` and `high` are what is accepted, `is_above` where low itself is not."""

    name: str
    kind: str
    is_required: bool
    default: Any = None
    description: str = ""
    low: float | int | None = None
    high: float | int | None = None
    is_above: bool = False
    pattern: str = ""
    choices: tuple[Any, ...] = ()

    @property
    def accepted(self) -> str:
        """What may be given, for people."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        low = "" if self.low is None else f"{'above' if self.is_above else 'from'} {self.low}"
        high = "" if self.high is None else f"to {self.high}"
        bounds = " ".join(part for part in (low, high) if part)
        return bounds or _ACCEPTED.get(self.kind, "")

    @property
    def words(self) -> str:
        """What it means, what may be given, and what it is otherwise."""
        default = "" if self.is_required else f"{msgspec.json.encode(self.default).decode()} if left out"
        return "; ".join(part for part in (self.description, self.accepted, default) if part)


_KINDS = {
    msgspec.inspect.IntType: "int",
    msgspec.inspect.FloatType: "float",
    msgspec.inspect.BoolType: "bool",
    msgspec.inspect.StrType: "text",
    msgspec.inspect.LiteralType: "choice",
    # what JSON has as texts
    msgspec.inspect.DecimalType: "decimal",
    msgspec.inspect.TimeType: "text",
    msgspec.inspect.DateType: "text",
    msgspec.inspect.DateTimeType: "text",
}
_ACCEPTED = {"bool": "true or false", "decimal": "a decimal number", "json": "JSON"}


def described(params: type[msgspec.Struct]) -> tuple[Parameter, ...]:
    """Every parameter of a struct, in its order."""
    info = msgspec.inspect.type_info(params)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(map(_parameter, info.fields))


def _parameter(field: msgspec.inspect.Field) -> Parameter:
    kind, description = field.type, ""
    while isinstance(kind, msgspec.inspect.Metadata):
        description = description or str((kind.extra_json_schema or {}).get("description", ""))
        kind = kind.type
    low = getattr(kind, "ge", None)
    above = getattr(kind, "gt", None)
    return Parameter(
        name=field.encode_name,
        kind=_KINDS.get(type(kind), "json"),
        is_required=field.required,
        default=_default(field),
        description=description,
        low=above if low is None else low,
        high=getattr(kind, "le", None),
        is_above=low is None and above is not None,
        pattern=getattr(kind, "pattern", None) or "",
        choices=tuple(getattr(kind, "values", ())),
    )


def _default(field: msgspec.inspect.Field) -> Any:
    """As it would stand in JSON."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.json.decode(msgspec.json.encode(field.default_factory()))
    if field.default is msgspec.NODEFAULT:
        return None
    return msgspec.json.decode(msgspec.json.encode(field.default))
