"""The REST API under /api/v1/: the routes of every app, health, schema and documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from csp.decorators import csp_update
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from alphapanda.health.views import ready
from alphapanda.web.roles import ROLE_TO_READ
from alphapanda.web.views import ApiView, Common

if TYPE_CHECKING:
    from rest_framework.request import Request


class Health(ApiView):
    required_role = ROLE_TO_READ

    @extend_schema(responses={200: OpenApiTypes.OBJECT, 503: OpenApiTypes.OBJECT}, tags=["health"])
    def get(self, request: Request) -> Response:
        """What `/health/ready` says, with its status."""
        answer = ready(request._request)
        return Response(json.loads(answer.content), status=answer.status_code)


class Schema(Common, SpectacularAPIView):
    """The OpenAPI description, for people with a role."""

    required_role = ROLE_TO_READ
    query_names = None


# Swagger draws its arrows as data: images
@method_decorator(csp_update({"img-src": ["data:"]}), name="dispatch")
class Docs(Common, SpectacularSwaggerSplitView):
    """The API to read and to try, without any foreign host."""

    required_role = ROLE_TO_READ
    query_names = None
    url_name = "schema"
    template_name = "api/docs.html"


class NoSuchRoute(ApiView):
    """Unknown addresses answer in the one shape of errors."""

    required_role = ROLE_TO_READ
    query_names = None
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound


urlpatterns = [
    path("", include("accounts.api")),
    path("", include("strategies.api")),
    path("", include("alphapanda.deployments_api")),
    path("", include("alphapanda.live_clearance_api")),
    path("", include("risk.api")),
    path("", include("risk.approvals_api")),
    path("", include("risk.alerts_api")),
    path("", include("execution.api")),
    path("", include("execution.live_api")),
    path("", include("execution.gtt_api")),
    path("", include("portfolio.api")),
    path("", include("alphapanda.journal_api")),
    path("", include("marketdata.api")),
    path("", include("alphapanda.data_api")),
    path("", include("alphapanda.research.api")),
    path("", include("alphapanda.eventlog.api")),
    path("health/", Health.as_view()),
    path("schema/", Schema.as_view(), name="schema"),
    path("docs/", Docs.as_view()),
    re_path(r"", NoSuchRoute.as_view()),
]
