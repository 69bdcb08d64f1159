"""Dead letters over REST."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from alphapanda.eventlog import selectors
from alphapanda.eventlog.models import DeadLetter
from alphapanda.web.views import DetailView, ListView


class DeadLetterSerializer(serializers.ModelSerializer):
    body_bytes = serializers.IntegerField(read_only=True)

    class Meta:
        model = DeadLetter
        fields = (
            "id",
            "consumer",
            "topic",
            "incarnation",
            "partition",
            "offset",
            "reason",
            "error",
            "state",
            "redrive_count",
            "failed_at",
            "settled_at",
            "body_bytes",
        )


@extend_schema(tags=["dead letters"])
class DeadLetters(ListView):
    """What could not be handled, newest first; bodies are in the admin only."""

    queryset = selectors.dead_letters_listed()
    serializer_class = DeadLetterSerializer
    filterset_fields = ("topic", "consumer", "state", "reason")
    page_ordering = ("-failed_at", "-id")


@extend_schema(tags=["dead letters"])
class DeadLetterDetail(DetailView):
    """One dead letter."""

    queryset = selectors.dead_letters_listed()
    serializer_class = DeadLetterSerializer


urlpatterns = [
    path("dead-letters/", DeadLetters.as_view()),
    path("dead-letters/<int:pk>/", DeadLetterDetail.as_view()),
]
