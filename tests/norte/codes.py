"""What Norte's codes mean, and how its answers are understood."""

from __future__ import annotations

from typing import Final

from orderbridge.http.body import Unreadable, load
from orderbridge.http.transport import WireResponse
from orderbridge.venue.meanings import Codes, Meaning, Said, rows_of
from orderbridge.venue.sender import HttpCall

CODES: Final = Codes(
    both=rows_of(
        (Meaning.CREDENTIALS, "bad_key bad_signature"),
        (Meaning.NOT_ADMITTED, "stale_time"),
        (Meaning.PERMISSION, "no_scope"),
        (Meaning.FUNDS, "no_funds"),
        (Meaning.RULE, "bad_price bad_size"),
        (Meaning.INVALID, "bad_market bad_field"),
        (Meaning.CLOSED, "halted"),
        (Meaning.EXISTS, "client_id_taken"),
        (Meaning.NOT_FOUND, "no_order"),
        (Meaning.NOT_ACTIVE, "order_over"),
        (Meaning.THROTTLED, "slow_down"),
        (Meaning.ELSEWHERE, "no_route"),
    )
)


def understand(response: WireResponse, call: HttpCall) -> Said:
    """An error is `{"code": …, "message": …}` with a status of 400 and more; anything else is nothing of Norte's."""
    try:
        payload = load(response.body)
    except Unreadable as error:
        return Said(text=str(error))
    if response.status < 300:
        return Said(ok=True, payload=payload)
    if not isinstance(payload, dict) or not isinstance(payload.get("code"), str):
        return Said(text=f"HTTP {response.status} without a code")
    code = payload["code"]
    return Said(key=code, code=code, text=f"Norte says {code}: {payload.get('message', 'no message')}")
