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
    json for what has no input of its own; `low` and `high` are what is accepted, `is_above` where low itself is not,
    `is_optional` where None is as well."""

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
    is_optional: bool = False

    @property
    def accepted(self) -> str:
        """What may be given, for people."""
        return " or ".join(part for part in (self._value, "null" if self.is_optional else "") if part)

    @property
    def _value(self) -> str:
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        low = "" if self.low is None else f"{'above' if self.is_above else 'from'} {self.low}"
        high = "" if self.high is None else f"to {self.high}"
        bounds = " ".join(part for part in (low, high) if part)
        return bounds or _ACCEPTED.get(self.kind, "")

    @property
    def words(self) -> str:
        """What it means, what may be given, and what it is otherwise."""
        has_default = not self.is_required and not (self.is_optional and self.default is None)
        left_out = f"{msgspec.json.encode(self.default).decode()} if left out" if has_default else ""
        left_empty = "null if left empty" if self.is_optional else ""
        default = ", ".join(part for part in (left_out, left_empty) if part)
        return "; ".join(part for part in (self.description, self._value, default) if part)


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
    kind, description, is_optional = _unwrapped(field.type)
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
        choices=tuple(one for one in getattr(kind, "values", ()) if one is not None),
        is_optional=is_optional or None in getattr(kind, "values", ()),
    )


def _unwrapped(kind: msgspec.inspect.Type) -> tuple[msgspec.inspect.Type, str, bool]:
    """A type without its description and without the None that it may be instead."""
    description, is_optional = "", False
    while True:
        if isinstance(kind, msgspec.inspect.Metadata):
            description = description or str((kind.extra_json_schema or {}).get("description", ""))
            kind = kind.type
        elif len(others := _but_none(kind)) == 1:
            kind, is_optional = others[0], True
        else:
            return kind, description, is_optional


def _but_none(kind: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    """The types of a union beside None; nothing of what is no union."""
    types = kind.types if isinstance(kind, msgspec.inspect.UnionType) else ()
    return [one for one in types if not isinstance(one, msgspec.inspect.NoneType)]


def _default(field: msgspec.inspect.Field) -> Any:
    """As it would stand in JSON."""
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.json.decode(msgspec.json.encode(field.default_factory()))
    if field.default is msgspec.NODEFAULT:
        return None
    return msgspec.json.decode(msgspec.json.encode(field.default))
