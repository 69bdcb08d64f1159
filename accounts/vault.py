"""Secrets in the database: AES-256-GCM, bound to the place where they lie, with keys that can be changed.

The keys are derived from the texts of ALPHAPANDA_CREDENTIAL_KEYS. Each box names the key that made it, so a new key
is put in front, what lies there is sealed anew (`manage.py rotate_credentials`), and then the old one may go."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from alphapanda.core.refusals import Conflict

FORMAT = b"\x01"
KEY_ID, NONCE = 4, 12  # bytes
PURPOSE = b"alphapanda.accounts.vault"


class Unreadable(Conflict):
    """A sealed secret cannot be opened: its key is gone from the settings, or it was moved or changed."""


def seal(text: str, *, place: str) -> bytes:
    """Encrypt a text for a place (table, row and column); it opens nowhere else. Empty stays empty."""
    if not text:
        return b""
    key = _key(settings.CREDENTIAL_KEYS[0])
    head, nonce = FORMAT + _id(key), os.urandom(NONCE)
    return head + nonce + AESGCM(key).encrypt(nonce, text.encode(), _bound(head, place))


def unseal(box: bytes, *, place: str) -> str:
    """The text that was sealed for a place; empty for an empty box. Raises Unreadable."""
    box = bytes(box)
    if not box:
        return ""
    head, rest = box[: 1 + KEY_ID], box[1 + KEY_ID :]
    try:
        text = AESGCM(_key_of(head, place)).decrypt(rest[:NONCE], rest[NONCE:], _bound(head, place))
    except (InvalidTag, ValueError):
        raise Unreadable(f"{place} was moved or changed: it does not open with its key") from None
    return text.decode()


def is_sealed_anew(box: bytes) -> bool:
    """Whether a box was made with the newest key."""
    return not box or bytes(box)[: 1 + KEY_ID] == FORMAT + _id(_key(settings.CREDENTIAL_KEYS[0]))


def _key_of(head: bytes, place: str) -> bytes:
    for text in settings.CREDENTIAL_KEYS:
        if FORMAT + _id(_key(text)) == head:
            return _key(text)
    raise Unreadable(
        f"{place}: the key of a stored secret is not among ALPHAPANDA_CREDENTIAL_KEYS: put it back, or enter the"
        " secret anew"
    )


def _bound(head: bytes, place: str) -> bytes:
    return head + place.encode()


@lru_cache(maxsize=8)
def _key(text: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(text.encode())


def _id(key: bytes) -> bytes:
    return hashlib.sha256(PURPOSE + key).digest()[:KEY_ID]
