"""How often who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rest_framework.exceptions import APIException
from rest_framework.throttling import AnonRateThrottle, ScopedRateThrottle, UserRateThrottle

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class CountersUnavailable(APIException):
    """Attempts of strangers cannot be counted now, so they are refused."""

    status_code = 503
    default_detail = "Attempts cannot be counted now. Try again later."
    default_code = "counters_unavailable"


class Anonymous(AnonRateThrottle):
    """Counts strangers by address; fails closed when the counters are out of reach."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except RedisError as error:
            raise CountersUnavailable from error


class Token(ScopedRateThrottle):
    """Counts attempts to get a token; fails closed when the counters are out of reach."""

    scope = "token"

    def __init__(self) -> None:
        self.rate = self.get_rate()
        self.num_requests, self.duration = self.parse_rate(self.rate)

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super(ScopedRateThrottle, self).allow_request(request, view)
        except RedisError as error:
            raise CountersUnavailable from error


class Known(UserRateThrottle):
    """Counts people by name; lets them pass without counters, for a halt must get through."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except RedisError:
            return bool(request.user and request.user.is_authenticated)
