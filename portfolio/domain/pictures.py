"""What a picture is by its own bytes, whatever its name says: PNG, JPEG or WebP, and nothing behind it. Pure."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from enum import StrEnum

import msgspec

BYTES_MAX = 4 << 20
SIDE_MAX = 10_000  # pixels
ACCEPTED = f"PNG, JPEG or WebP, {BYTES_MAX >> 20} MiB and {SIDE_MAX} pixels a side at most"


class BadPicture(ValueError):
    """Bytes that are no picture that is accepted; the text says what is wrong."""


class PictureKind(StrEnum):
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        return f"image/{self.value}"


class Picture(msgspec.Struct, frozen=True):
    kind: PictureKind
    width: int
    height: int


Size = tuple[int, int]


def picture_of(data: bytes) -> Picture:
    """The kind and the size of a picture. Raises BadPicture."""
    if len(data) > BYTES_MAX:
        raise BadPicture(f"it has {len(data)} bytes; accepted are {ACCEPTED}")
    for kind, begins, read in _KINDS:
        if begins(data):
            width, height = _read(data, kind, read)
            return Picture(kind, width, height)
    raise BadPicture(f"it is no picture by its content; accepted are {ACCEPTED}")


def _read(data: bytes, kind: PictureKind, read: Callable[[bytes], Size]) -> Size:
    try:
        width, height = read(data)
    except (struct.error, IndexError):
        raise BadPicture(f"it begins as {kind.name} and is cut short") from None
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
        raise BadPicture(f"it is {width} by {height} pixels; accepted are {ACCEPTED}")
    return width, height


def _png(data: bytes) -> Size:
    """Chunk by chunk, each with its checksum, IHDR first and IEND at the very end."""
    at, size = 8, None
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(name + body) != checksum:
            raise BadPicture("it begins as PNG and a part of it is broken")
        if size is None:
            if name != b"IHDR":
                raise BadPicture("it begins as PNG and does not say its size")
            size = struct.unpack_from(">II", body)
        at += 12 + length
        if name == b"IEND":
            break
    if at != len(data):
        raise BadPicture("there is something behind the end of the PNG")
    return size


_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that say the size
_SCAN = 0xDA


def _jpeg(data: bytes) -> Size:
    if not data.endswith(b"\xff\xd9"):
        raise BadPicture("it begins as JPEG and has no end, or something behind it")
    at = 2
    while data[at] == 0xFF and data[at + 1] != _SCAN:
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length
    raise BadPicture("it begins as JPEG and does not say its size")


def _webp(data: bytes) -> Size:
    (length,) = struct.unpack_from("<I", data, 4)
    if 8 + length != len(data):
        raise BadPicture("it begins as WebP and is cut short, or there is something behind it")
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise BadPicture("it begins as WebP and does not say its size")


_KINDS: tuple[tuple[PictureKind, Callable[[bytes], bool], Callable[[bytes], Size]], ...] = (
    (PictureKind.PNG, lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (PictureKind.JPEG, lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    (PictureKind.WEBP, lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp),
)
