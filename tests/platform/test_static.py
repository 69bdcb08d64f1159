"""What is sent to browsers is compressed where they take that."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.people import client_of

PLAIN, PACKED = "identity", "gzip, deflate, br"
SCRIPT = "vendor/lightweight-charts.js"


def asked(path: str, encodings: str, **headers: str):
    return Client().get(path, headers={"accept-encoding": encodings, **headers})


def test_a_static_file_is_sent_compressed_and_is_the_same() -> None:
    source = Path(settings.BASE_DIR, "static", SCRIPT).read_bytes()
    plain, packed = (asked(f"/static/{SCRIPT}", encodings) for encodings in (PLAIN, PACKED))

    assert b"".join(plain.streaming_content) == gzip.decompress(packed.content) == source
    assert (packed["Content-Encoding"], packed["Content-Type"]) == ("gzip", plain["Content-Type"])
    assert int(packed["Content-Length"]) == len(packed.content) < len(source) / 2
    assert plain["Vary"] == packed["Vary"] == "Accept-Encoding"


def test_one_that_has_not_changed_is_not_sent_again() -> None:
    known = asked(f"/static/{SCRIPT}", PACKED)["ETag"]

    assert asked(f"/static/{SCRIPT}", PACKED, **{"if-none-match": known}).status_code == 304


def test_parts_of_a_file_and_heads_are_as_they_are() -> None:
    part = asked(f"/static/{SCRIPT}", PACKED, range="bytes=0-99")
    head = Client().head(f"/static/{SCRIPT}", headers={"accept-encoding": PACKED})

    assert len(b"".join(part.streaming_content)) == 100
    assert not part.has_header("Content-Encoding")
    assert not head.has_header("Content-Encoding")


@pytest.mark.django_db
def test_pages_are_compressed() -> None:
    page = client_of("bob").get("/orders/", headers={"accept-encoding": PACKED})

    assert page["Content-Encoding"] == "gzip"
    assert b"<h1>Orders</h1>" in gzip.decompress(page.content)
