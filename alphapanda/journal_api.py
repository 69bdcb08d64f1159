"""The journal over REST: trades, what they cost, and what people note on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from alphapanda import journal
from alphapanda.core.clock import ist_text
from alphapanda.core.money import to_rupees
from alphapanda.web.formats import plain
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole
from alphapanda.web.views import ApiView, Form, Reason, actor_of
from portfolio import journal as notes
from portfolio.domain.pictures import BYTES_MAX
from portfolio.models import TRADING_BROKERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal
    from uuid import UUID

    from rest_framework.request import Request

    from alphapanda.journal import Entry, Sums
    from portfolio.domain.trips import Leg
    from portfolio.models import TradePicture

FILTERS = tuple(journal.Narrowed.base_fields)
LIMIT, LIMIT_MAX = 100, 1000


class Asked(Form):
    """What a list is asked for besides its filters."""

    broker = serializers.ChoiceField(choices=TRADING_BROKERS, default="paper")
    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, default=LIMIT)
    skip = serializers.IntegerField(min_value=0, default=0)


class NoteForm(Form):
    """What is said of a trade; `revision` is that of the note that was read, 0 where there was none."""

    text = serializers.CharField(allow_blank=True, max_length=notes.TEXT_MAX)
    tags = serializers.ListField(child=serializers.CharField(max_length=60), max_length=60)
    revision = serializers.IntegerField(min_value=0)


class PictureForm(serializers.Serializer):
    file = serializers.FileField(max_length=300)


class Journal(ApiView):
    required_role = ROLE_TO_READ
    query_names = (*FILTERS, *Asked().fields)

    @extend_schema(
        parameters=[*(OpenApiParameter(name) for name in FILTERS), Asked],
        responses=OpenApiTypes.OBJECT,
        tags=["journal"],
        operation_id="journal_list",
    )
    def get(self, request: Request) -> Response:
        """Trades, the one opened last first, with sums of all that the filters leave, also of those beyond `limit`."""
        narrowed = journal.Narrowed(request.query_params)
        if not narrowed.is_valid():
            raise serializers.ValidationError(narrowed.errors)
        asked = Asked(data={name: v for name, v in request.query_params.items() if name in Asked().fields})
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        found = journal.entries(given["broker"], narrowed.cleaned_data)
        page = found[given["skip"] : given["skip"] + given["limit"]]
        return Response({"count": len(found), "results": [_entry(one) for one in page], **_sums(found)})


class Trade(ApiView):
    required_role = ROLE_TO_READ

    @extend_schema(responses=OpenApiTypes.OBJECT, tags=["journal"])
    def get(self, _request: Request, pk: UUID) -> Response:
        """A trade with every fill, its note and its pictures."""
        return Response(_whole(pk))


class Note(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=NoteForm, responses=OpenApiTypes.OBJECT, tags=["journal"])
    def post(self, request: Request, pk: UUID) -> Response:
        """Say what there is to say of a trade; the trade as it is then."""
        form = NoteForm(data=request.data)
        form.is_valid(raise_exception=True)
        notes.note_write(trade_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request))
        return Response(_whole(pk))


class Pictures(ApiView):
    required_role = RequiredRole()
    parser_classes = (MultiPartParser,)

    @extend_schema(
        request={"multipart/form-data": PictureForm}, responses=OpenApiTypes.OBJECT, tags=["journal"]
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Add a picture to a trade: PNG, JPEG or WebP, known by its content; the trade as it is then."""
        form = PictureForm(data=request.data)
        form.is_valid(raise_exception=True)
        file = form.validated_data["file"]
        notes.picture_add(
            trade_id=pk,
            name=file.name,
            data=file.read(BYTES_MAX + 1),
            now=timezone.now(),
            **actor_of(request),
        )
        return Response(_whole(pk))


class PictureRemoval(ApiView):
    required_role = RequiredRole()

    @extend_schema(request=Reason, responses=OpenApiTypes.OBJECT, tags=["journal"])
    def post(self, request: Request, pk: UUID) -> Response:
        """Take a picture off its trade, for good."""
        form = Reason(data=request.data)
        form.is_valid(raise_exception=True)
        row = notes.picture_remove(
            picture_id=pk, now=timezone.now(), **form.validated_data, **actor_of(request)
        )
        return Response(_whole(row.trade_id))


class PictureFile(ApiView):
    required_role = ROLE_TO_READ

    @extend_schema(responses={(200, "image/*"): OpenApiTypes.BINARY}, tags=["journal"])
    def get(self, _request: Request, pk: UUID) -> HttpResponse:
        """The picture itself."""
        return picture_answer(notes.picture_shown(pk))


def picture_answer(picture: TradePicture) -> HttpResponse:
    """A picture as what its content is and nothing else: it is never read as a page, and runs nothing."""
    answer = HttpResponse(bytes(picture.data), content_type=f"image/{picture.kind}")
    answer["Content-Disposition"] = f'inline; filename="{picture.pk}.{picture.kind}"'
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def _whole(trade_id: UUID) -> dict[str, Any]:
    entry, book = journal.entry_of(trade_id)
    marks = journal.marks_known(book)
    return _entry(entry) | {
        "broker": book.broker,
        "legs": [_leg(leg, marks) for leg in entry.trip.legs],
        "pictures": [_picture(one) for one in notes.pictures_of([trade_id])],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    trip, note = entry.trip, entry.note
    return {
        "id": str(trip.trip_id),
        "deployment": str(trip.deployment_id),
        "deployment_name": entry.book,
        "strategy": entry.strategy,
        "instrument": trip.instrument,
        "side": trip.side,
        "opened_at": ist_text(trip.opened_at_ms),
        "closed_at": None if trip.closed_at_ms is None else ist_text(trip.closed_at_ms),
        "held_ms": trip.held_ms,
        "most": trip.most,
        "open_quantity": trip.quantity,
        "gross": plain(trip.gross),
        "charges": {line: plain(amount) for line, amount in trip.charges.items()},
        "charged": plain(trip.charged),
        "net": plain(trip.net),
        "slipped": _plain(entry.slipped),
        "tags": entry.tags,
        "text": note.text if note else "",
        "revision": note.revision if note else 0,
        "changed_by": note.changed_by if note else None,
    }


def _leg(leg: Leg, marks: dict[UUID, int]) -> dict[str, Any]:
    return {
        "fill": str(leg.fill_id),
        "order": str(leg.order_id),
        "at": ist_text(leg.at_ms),
        "side": leg.side,
        "quantity": leg.quantity,
        "price": plain(to_rupees(leg.price_e4)),
        "charges": {line: plain(amount) for line, amount in leg.charges.items()},
        "slipped": _plain(journal.slipped_of(leg, marks)),
    }


def _picture(one: TradePicture) -> dict[str, Any]:
    names = ("name", "kind", "width", "height", "size", "added_by", "added_at")
    return {"id": str(one.pk)} | {name: getattr(one, name) for name in names}


def _sums(found: list[Entry]) -> dict[str, Any]:
    """Of the trades that are over."""
    days = {str(day): sums for day, sums in sorted(journal.by_day(found).items())}
    return {
        "total": _sum(journal.total(found)),
        "by_tag": {tag: _sum(sums) for tag, sums in journal.by_tag(found).items()},
        "by_strategy": {name: _sum(sums) for name, sums in journal.by_strategy(found).items()},
        "by_day": {day: _sum(sums) for day, sums in days.items()},
    }


def _sum(sums: Sums) -> dict[str, Any]:
    return {
        "trades": sums.count,
        "won": sums.wins,
        "gross": plain(sums.gross),
        "charges": {line: plain(amount) for line, amount in _sorted(sums.lines.items())},
        "charged": plain(sums.charges),
        "net": plain(sums.net),
        "slipped": plain(sums.slipped),
        "held_on_average_ms": sums.held_on_average_ms,
    }


def _sorted(lines: Iterable[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    return sorted(lines, key=lambda pair: -pair[1])


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


urlpatterns = [
    path("journal/", Journal.as_view()),
    path("journal/<uuid:pk>/", Trade.as_view()),
    path("journal/<uuid:pk>/note/", Note.as_view()),
    path("journal/<uuid:pk>/pictures/", Pictures.as_view()),
    path("journal/pictures/<uuid:pk>/", PictureFile.as_view()),
    path("journal/pictures/<uuid:pk>/remove/", PictureRemoval.as_view()),
]
