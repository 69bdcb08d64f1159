"""Pages of long lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.views import APIView


class Page(CursorPagination):
    """Stable under new rows; each view names its `page_ordering`."""

    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get(self.page_size_query_param, str(self.page_size))
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= self.max_page_size:
            raise ValidationError(
                {self.page_size_query_param: [f"A whole number from 1 to {self.max_page_size}."]}
            )
        return int(text)

    def get_ordering(self, _request: Request, _queryset: QuerySet, view: APIView) -> tuple[str, ...]:
        return view.page_ordering
