"""Static files as WhiteNoise serves them, compressed for browsers that take it: once by each process."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

if TYPE_CHECKING:
    from django.http import HttpRequest

SHORTEST = 512  # bytes: shorter ones would not gain
TEXTS = ("text/", "application/json", "image/svg+xml")
NOT_OF_THE_FILE = ("content-length", "content-encoding")


class StaticMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise compresses only what `collectstatic` has collected, and there is nothing to collect here."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        response = WhiteNoiseMiddleware.serve(static_file, request)
        if request.method != "GET" or response.status_code != 200 or not _gains(response):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return response
        response.file_to_stream.close()
        path, _ = static_file.get_path_and_headers(request.META)
        compressed = HttpResponse(_compressed(path, response["ETag"]))
        for name, value in response.items():
            if name.lower() not in NOT_OF_THE_FILE:
                compressed[name] = value
        compressed["Content-Encoding"] = "gzip"
        compressed["Content-Length"] = len(compressed.content)
        return compressed


def _gains(response: HttpResponseBase) -> bool:
    is_text = response.get("Content-Type", "").startswith(TEXTS)
    return (
        is_text
        and not response.has_header("Content-Encoding")
        and int(response["Content-Length"]) >= SHORTEST
    )


@lru_cache(maxsize=256)
def _compressed(path: str, _etag: str) -> bytes:
    """`_etag` is of the file's time and size: another one is another file."""
    return gzip.compress(Path(path).read_bytes(), compresslevel=9, mtime=0)
