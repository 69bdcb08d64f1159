"""The one place that knows apprise: whether an address is understood, and the message that goes there.

An address holds tokens and passwords. Nothing of it leaves here: apprise's own log goes nowhere (alphapanda.logs), what
it says of a failure has every part of the address taken out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from alphapanda import logs
from alphapanda.core.refusals import BadRequest

if TYPE_CHECKING:
    from apprise import NotifyBase
    from apprise.result import AppriseResult

    from risk.domain.telling import Message

SEND_S = 15  # for a whole message
CONNECT_S, READ_S = 5.0, 10.0  # at most, whatever the address asks for
ADDRESS_MAX, WORDS_MAX = 2_000, 300
GONE = "…"
SHORTEST_PART = 3  # of an address that is taken out
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # characters of which no column of a database holds the first
FILE_OPTIONS = {"keyfile", "subfile", "pgpkey"}  # of services that open what they name only when they send
WANTED = "expected an address as apprise knows it, such as ntfys://ntfy.sh/TOPIC or tgram://BOT_TOKEN/CHAT_ID"


class AddressNotUnderstood(BadRequest):
    """No service is known that has such an address."""


def service_of(address: str) -> str:
    """The name of the service that an address is of. Raises AddressNotUnderstood, without the address."""
    scheme, mark, _ = address.partition("://")
    if not mark or not re.fullmatch(r"[a-zA-Z0-9+]{1,30}", scheme):
        raise AddressNotUnderstood(f"This is no address: {WANTED}.")
    if len(address) > ADDRESS_MAX or re.search(r"\s", address):
        raise AddressNotUnderstood(
            f"An address has at most {ADDRESS_MAX} characters and no blanks: {WANTED}."
        )
    found = _plugin(address)
    if found is not None and _names_file(found, address):
        raise AddressNotUnderstood(
            f"An address may name no file: its content would go out with the messages; {WANTED}."
        )
    if found is None:
        raise AddressNotUnderstood(
            f"An address that begins with {scheme.lower()}:// and goes on like this is not understood: {WANTED}."
        )
    return str(found.service_name)[:60]


def send(address: str, message: Message, *, is_critical: bool) -> str:
    """Send, in SEND_S at most; why it was not taken, in words without the address. Empty: it was."""
    from apprise import Apprise, NotifyFormat, NotifyType

    plugin = _plugin(address)
    if plugin is None:
        return "the stored address is not understood any more: add the channel anew"
    post = Apprise()
    post.add(plugin)
    try:
        result = post.notify(
            title=message.title,
            body=message.body,
            notify_type=NotifyType.FAILURE if is_critical else NotifyType.WARNING,
            body_format=NotifyFormat.TEXT,
            timeout=SEND_S,
        )
    except Exception as error:  # noqa: BLE001  of whatever service: it is a message that was not taken
        return scrubbed(f"{type(error).__name__}: {error}", address)
    return "" if result else scrubbed(_why(result), address)


def scrubbed(words: str, address: str) -> str:
    """Words without any part of an address, without what looks like a secret by itself, and on one line."""
    scheme, _, rest = address.partition("://")
    whole = {address, unquote(address), rest, unquote(rest)}
    parts = {
        part for text in whole for cut in (r"[/?&=@,;:]+", r"[^A-Za-z0-9]+") for part in re.split(cut, text)
    }
    hidden = sorted((whole | parts) - {"", scheme}, key=len, reverse=True)
    pattern = "|".join(re.escape(part) for part in hidden if len(part) >= SHORTEST_PART)
    found = re.sub(pattern, GONE, words, flags=re.IGNORECASE) if pattern else words
    plain = CONTROL.sub(lambda one: " " if one[0].isspace() else "", found)
    return logs.without_secrets(plain)[:WORDS_MAX]


def _why(result: AppriseResult) -> str:
    from apprise.result import AppriseResultStatus

    said = [entry.message for entry in result.logs()]
    if said:
        return said[-1]
    return (
        f"no answer within {SEND_S} s" if result.status == AppriseResultStatus.TIMEOUT else "it was refused"
    )


def _names_file(plugin: NotifyBase, address: str) -> bool:
    """Whether a service would read a file, such as the template of its messages: who adds a channel in a browser reads
    nothing of this machine by it."""
    from apprise import AppriseAttachment

    holds = any(isinstance(held, AppriseAttachment) and len(held) for held in vars(plugin).values())
    named = {name.strip().lower() for name, _ in parse_qsl(address.partition("?")[2], keep_blank_values=True)}
    return holds or not named.isdisjoint(FILE_OPTIONS)


def _plugin(address: str) -> NotifyBase | None:
    """The service of an address, with limits on its patience and without files or redirects of its own."""
    from apprise import Apprise, AppriseAsset, PersistentStoreMode
    from apprise.common import OverflowMode

    asset = AppriseAsset(
        app_id="Alpha Panda",
        app_desc="Alerts of Alpha Panda",
        app_url="",
        storage_mode=PersistentStoreMode.MEMORY,
        service_timeout=SEND_S,
        pgp_autogen=False,
        pem_autogen=False,
        http_redirects=False,
    )
    found: NotifyBase | None = Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if found is not None:
        found.socket_connect_timeout = min(found.socket_connect_timeout, CONNECT_S)
        found.socket_read_timeout = min(found.socket_read_timeout, READ_S)
        found.overflow_mode = OverflowMode.SPLIT
    return found
