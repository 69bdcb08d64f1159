"""What every view of the API has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.views import APIView

from alphapanda import logs
from alphapanda.web.roles import ROLE_TO_READ, RequiredRole

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.response import Response

log = logs.channel("api")
KEY_MAX = 64
KEY_HEADER = "Idempotency-Key"
KEY_PARAMETER = OpenApiParameter(KEY_HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER)


class Common:
    """Answers are of the moment and of the person: nobody keeps them. Refusals count as requests. A query
    parameter that nobody knows is refused: it may be one that is known, misspelt. Each answer is a line of the log."""

    query_names: ClassVar[tuple[str, ...] | None] = ()  # None: whatever is asked
    lowers_risk = False  # whether its acts can do nothing else: then no throttle holds them up

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self.query_known()
        if known is None or set(request.query_params) <= set(known):
            return
        told = f"There is no such parameter; accepted are {', '.join(known) or 'none'}."
        raise serializers.ValidationError(
            {name: [told] for name in sorted(set(request.query_params) - set(known))}
        )

    def query_known(self) -> tuple[str, ...] | None:
        return self.query_names

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> None:
        self.check_throttles(request)  # else a stranger, who is always refused, might ask for ever
        super().permission_denied(request, message, code)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        log.info(
            "api.answered",
            method=request.method,
            path=request.path,
            status=response.status_code,
            user=request.user.get_username() if hasattr(request, "user") else "",
        )
        return response


class ApiView(Common, APIView):
    """A view that must declare its `required_role`, else it is refused to everybody."""


class ListView(Common, generics.ListAPIView):
    """A list for every role, in pages ordered by `page_ordering`."""

    required_role: ClassVar[RequiredRole] = ROLE_TO_READ
    page_ordering: ClassVar[tuple[str, ...]]

    def query_known(self) -> tuple[str, ...]:
        found = DjangoFilterBackend().get_filterset_class(self, self.queryset)
        filters = found.base_filters if found else ()
        return (*filters, self.paginator.page_size_query_param, self.paginator.cursor_query_param)


class DetailView(Common, generics.RetrieveAPIView):
    """One row for every role."""

    required_role: ClassVar[RequiredRole] = ROLE_TO_READ


@extend_schema_field({"type": "object", "additionalProperties": True})
class AnyObject(serializers.JSONField):
    """A JSON object of any shape."""


class Form(serializers.Serializer):
    """What a request says. A field that nobody knows is refused: it may be one that is known, misspelt."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            told = f"There is no such field; accepted are {', '.join(self.fields)}."
            raise serializers.ValidationError({name: [told] for name in unknown})
        return super().to_internal_value(data)


class Reason(Form):
    """Why an operator acts."""

    reason = serializers.CharField(max_length=300)


def actor_of(request: Request) -> dict[str, Any]:
    """Who acts and from where, as services ask for it."""
    return {"actor": request.user.get_username(), "ip": request.META.get("REMOTE_ADDR")}


class _Key(Form):
    key = serializers.CharField(max_length=KEY_MAX, default="", allow_blank=True)


def key_of(request: Request) -> str:
    """What a client sends so that an act of which it lost the answer is done once; empty where it sends none."""
    form = _Key(data={"key": request.headers.get(KEY_HEADER, "")})
    form.is_valid(raise_exception=True)
    return str(form.validated_data["key"])
