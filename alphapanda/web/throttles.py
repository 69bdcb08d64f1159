"""How often who may ask."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import AnonRateThrottle, BaseThrottle, ScopedRateThrottle, UserRateThrottle

from alphapanda.web.roles import Role, roles_of

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
    """Counts people by name, what they do apart from what they look at. An operator's act that can only lower
    risk is not counted: a halt must get through, without counters too, and while a script of the same person asks too
    often."""

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        key: str | None = super().get_cache_key(request, view)
        return key if request.method in SAFE_METHODS else f"{key}:acts"

    def allow_request(self, request: Request, view: APIView) -> bool:
        lowers_risk = request.method not in SAFE_METHODS and getattr(view, "lowers_risk", False)
        if lowers_risk and Role.OPERATOR in roles_of(request.user):
            return True
        try:
            return super().allow_request(request, view)
        except RedisError:
            return bool(request.user and request.user.is_authenticated)


class Pushes(BaseThrottle):
    """Counts what machines push, by address and second: much may come at once, and little is kept of it. Fails closed
    when the counters are out of reach."""

    a_second = 50

    def allow_request(self, request: Request, _view: APIView) -> bool:
        key = f"pushes:{self.get_ident(request)}:{int(time.time())}"
        try:
            cache.add(key, 0, timeout=5)
            return bool(cache.incr(key) <= self.a_second)
        except ValueError:  # it has just run out
            return True
        except RedisError as error:
            raise CountersUnavailable from error

    def wait(self) -> float:
        return 1.0
