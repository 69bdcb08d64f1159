"""Refusals in Kite's form: HTTP code, name and message."""

from __future__ import annotations

INPUT = "InputException"
TOKEN = "TokenException"  # noqa: S105 - a name of Kite's
PERMISSION = "PermissionException"
ORDER = "OrderException"
MARGIN = "MarginException"
HOLDING = "HoldingException"
NETWORK = "NetworkException"
DATA = "DataException"
GENERAL = "GeneralException"
HTTP_CODES = {
    INPUT: 400,
    TOKEN: 403,
    PERMISSION: 403,
    ORDER: 400,
    MARGIN: 400,
    HOLDING: 428,
    NETWORK: 503,
    DATA: 502,
    GENERAL: 500,
}


class KiteError(Exception):
    """An answer that is a refusal. `http` is by default the code that belongs to the name."""

    def __init__(self, error_type: str, message: str, *, http: int = 0) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.http = http or HTTP_CODES[error_type]

    def body(self) -> dict[str, object]:
        return {"status": "error", "message": self.message, "data": None, "error_type": self.error_type}


def bad_input(message: str) -> KiteError:
    return KiteError(INPUT, message)
