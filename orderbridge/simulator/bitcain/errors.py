"""
Refusals in the shapes of the framework that Bitcain seems to run on: `{"detail": text}` and the 422 list.
"""

from collections.abc import Mapping
from typing import Any

from orderbridge.simulator.message import Response, json_response

BEARER = {"www-authenticate": "Bearer"}


class BitcainRefusal(Exception):
    """The request is refused with this status and detail."""

    def __init__(self, status: int, detail: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return json_response(self.status, {"detail": self.detail}, self.headers)


def invalid(*faults: dict[str, Any]) -> BitcainRefusal:
    """A 422 with one entry for each fault."""
    return BitcainRefusal(422, list(faults))


def enum_fault(where: tuple[str, ...], words: list[str], given: Any) -> dict[str, Any]:
    """The 422 entry for a word outside its enum; it lists the whole vocabulary."""
    quoted = [f"'{word}'" for word in words]
    expected = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return {
        "type": "enum",
        "loc": list(where),
        "msg": f"Input should be {expected}",
        "input": given,
        "ctx": {"expected": expected},
    }
