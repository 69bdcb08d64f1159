"""Pages of long lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError as Unfit
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.views import APIView


class Page(CursorPagination):
    """Stable under new rows; each view names its `page_ordering`."""

    page_size = 100
    max_page_size = 1000
    page_size_query_param = "limit"
    offset_cutoff = (
        None  # cut short, the cursor of a long run of equal rows would lead to the same page for ever
    )

    def paginate_queryset(
        self, queryset: QuerySet, request: Request, view: APIView | None = None
    ) -> list | None:
        self._column = queryset.model._meta.get_field(view.page_ordering[0].lstrip("-"))
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The place of a cursor that an answer gave; any other text is refused, also one that looks like it."""
        try:
            cursor = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                self._column.run_validators(self._column.to_python(_storable(cursor.position)))
        except (NotFound, Unfit):
            told = "No place in this list: take the one of `next` or `previous`."
            raise ValidationError({self.cursor_query_param: [told]}) from None
        return cursor

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get(self.page_size_query_param, str(self.page_size))
        if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= self.max_page_size:
            raise ValidationError(
                {self.page_size_query_param: [f"A whole number from 1 to {self.max_page_size}."]}
            )
        return int(text)

    def get_ordering(self, _request: Request, _queryset: QuerySet, view: APIView) -> tuple[str, ...]:
        return view.page_ordering


def _storable(text: str) -> str:
    if "\0" in text:
        raise Unfit("no text of the database holds it")
    return text
