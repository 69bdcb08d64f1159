"""Pictures are known by their bytes alone."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from portfolio.domain.pictures import BYTES_MAX, BadPicture, Picture, PictureKind, picture_of

KINDS = list(PictureKind)


def drawn(kind: str = "png", size: tuple[int, int] = (37, 21), **options: object) -> bytes:
    """A picture as any program writes it."""
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_says_what_it_is(kind: PictureKind) -> None:
    assert picture_of(drawn(kind)) == Picture(kind, 37, 21)


def test_every_form_of_webp_says_its_size() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (37, 21), (200, 30, 30, 90)).save(out, "webp", quality=50)  # with alpha: extended
    for data in (drawn("webp", lossless=True), drawn("webp", quality=50), out.getvalue()):
        assert picture_of(data) == Picture(PictureKind.WEBP, 37, 21)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_short_or_has_something_behind_it_is_refused(kind: PictureKind) -> None:
    whole = drawn(kind)
    for data in (whole[:-1], whole[:14], whole + b"<script>alert(1)</script>"):
        with pytest.raises(BadPicture, match=kind.name if kind is not PictureKind.WEBP else "WebP"):
            picture_of(data)


@pytest.mark.parametrize(
    "data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(20), b"<html>"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadPicture, match="no picture by its content; accepted are PNG, JPEG or WebP, 4 MiB"):
        picture_of(data)


def test_a_broken_part_of_a_png_is_found() -> None:
    data = bytearray(drawn())
    data[30] ^= 1
    with pytest.raises(BadPicture, match="broken"):
        picture_of(bytes(data))


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(BadPicture, match=f"{BYTES_MAX + 1} bytes"):
        picture_of(bytes(BYTES_MAX + 1))
    with pytest.raises(BadPicture, match="10001 by 1 pixels"):
        picture_of(drawn(size=(10_001, 1)))
