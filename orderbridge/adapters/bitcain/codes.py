"""Bitcain's answers: what they say, and what they mean; none of it but the 422 is documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.wire import Shapeless, one_order, one_page, pick
from orderbridge.http.body import Unreadable, load
from orderbridge.http.transport import WireResponse
from orderbridge.venue.meanings import Codes, Meaning, Said, rows_of
from orderbridge.venue.sender import HttpCall

SUBMIT: Final = "submit"
EDIT: Final = "edit"
RETRY: Final = "retry_failed"
CANCEL: Final = "cancel"
LOGIN: Final = "login"
REFRESH: Final = "refresh"

# FastAPI's text for a path that no route serves. Every other JSON 404 is about the thing asked for.
NO_ROUTE: Final = "Not Found"
# FastAPI's text for a missing or malformed bearer, sent with 403 by its older versions.
NOT_AUTHENTICATED: Final = "not authenticated"
_COLLECTIONS: Final = frozenset({wire.ORDERS, wire.HISTORY})
# No passing trouble (408, 425) and no throttle.
_OTHER_4XX: Final = "405-407 409-424 426-428 430-499"

_CHANGE: Final = rows_of(
    (Meaning.INVALID, "400 422"),
    (Meaning.FUNDS, "402"),
    (Meaning.PERMISSION, "403"),
    (Meaning.ABSENT, "404-own"),
    (Meaning.NOT_ACTIVE, "409"),
)
_SESSION: Final = rows_of(
    (Meaning.CREDENTIALS, f"no-session 400-403 403-bearer {_OTHER_4XX}"),
    (Meaning.ELSEWHERE, "404-own 404-route moved"),
)
# Statuses, and what tells answers of one status apart. Of a write only what is said in a `detail` of the server's own
# has a key. A 409 to a new order may mean that its id exists, so it refuses nothing.
CODES: Final = Codes(
    both=rows_of((Meaning.STALE, "401 403-bearer")),
    reads=rows_of(
        (Meaning.PERMISSION, "403"),
        (Meaning.ABSENT, "404-own"),
        (Meaning.ELSEWHERE, "404-list"),
        (Meaning.UNEXPECTED, "404-route moved shapeless"),
        (Meaning.HIDDEN, "history-hidden"),
        (Meaning.THROTTLED, "429"),
        (Meaning.REFUSED, f"not-done 400 402 {_OTHER_4XX}"),
    ),
    columns={
        SUBMIT: rows_of(
            (Meaning.REFUSED, "400 403 404-own 404-route"), (Meaning.FUNDS, "402"), (Meaning.INVALID, "422")
        ),
        EDIT: _CHANGE,
        RETRY: _CHANGE,
        CANCEL: rows_of(
            (Meaning.NOT_ACTIVE, "400 409"),
            (Meaning.PERMISSION, "403"),
            (Meaning.ABSENT, "404-own"),
            (Meaning.REFUSED, "422"),
        ),
        LOGIN: _SESSION,
        REFRESH: _SESSION,
    },
)


def understand(response: WireResponse, call: HttpCall) -> Said:
    """Read an answer: the order or page of a read, the object of a write, or why there is none."""
    payload, text = None, ""
    try:
        payload = load(response.body)
    except Unreadable as error:
        text = str(error)
    is_read = call.method == "GET"
    is_done = not text and (is_read if not isinstance(payload, Mapping) else payload.get("success") is not False)
    if not is_done or not 200 <= response.status < 300:
        return _refusal(response, payload, text, call)
    if not is_read:
        return Said(ok=True, payload=payload)
    try:
        if call.path in _COLLECTIONS:
            return Said(ok=True, payload=one_page(payload, cursor=(call.query or {}).get("cursor")))
        return Said(ok=True, payload=one_order(payload))
    except Shapeless as error:
        return Said(key="shapeless", text=str(error), keys=error.keys)


def _refusal(response: WireResponse, payload: object, unreadable: str, call: HttpCall) -> Said:
    key = key_of(response.status, payload, call)
    text = unreadable or explain(payload)
    if key == "moved":
        text = f"the answer sends us to {response.headers.get('location', 'elsewhere')}: is base_url right?"
    elif response.status == 404 and key != "404-own":
        text = f"{text}; nothing is served at {call.path}: is base_url right?"
    elif key == "not-done":
        text = text or "it says success: false without a reason"
    return Said(key=key, code=code_of(payload), text=text or "no reason given")


def key_of(status: int, payload: object, call: HttpCall) -> str:
    """How the table is entered with an answer that is no success; `payload` is None when the body is no JSON."""
    said = payload if isinstance(payload, Mapping) else {}
    if 200 <= status < 300:
        return "not-done" if said.get("success") is False else ""
    if status == 403 and detail_text(payload).lower() == NOT_AUTHENTICATED:
        return "403-bearer"
    if call.method != "GET" and not (said.get("detail") or (said and status == 401)) and not call.is_public:
        return "bare"
    if call.path == wire.HISTORY and (status == 404 or (status == 422 and is_shadowed_history(payload))):
        return "history-hidden"
    if status == 404:
        if call.method == "GET" and call.path in _COLLECTIONS:
            return "404-list"
        return "404-own" if is_proof_of_absence(payload) else "404-route"
    return "moved" if status < 400 else str(status)


def is_proof_of_absence(payload: object) -> bool:
    """
    True if a 404 is about the order and not about the path.

    Only the server's own shapes count: a proxy's "no route matched" would otherwise prove that no order exists.
    """
    if not isinstance(payload, Mapping) or detail_text(payload) == NO_ROUTE:
        return False
    return bool(payload.get("detail")) or (payload.get("success") is False and bool(explain(payload)))


def is_shadowed_history(payload: object) -> bool:
    """True if this 422 took the word `history` for an order id, because the other route was there first."""
    return any(
        item.get("type") == "uuid_parsing" and _loc(item)[:1] == ("path",) and item.get("input") == "history"
        for item in _faults(payload)
    )


def explain(payload: object) -> str:
    """The server's own words for what went wrong; empty when it says nothing."""
    if faults := _faults(payload):
        return "; ".join(map(_fault_text, faults))
    if not isinstance(payload, Mapping):
        return ""
    for name in wire.FAILURE_TEXT:
        value = pick(payload, (name,))
        if isinstance(value, Mapping):
            value = pick(value, ("message", "error", "code"))
        if isinstance(value, str):
            return value
    return ""


def code_of(payload: object) -> str | None:
    """The server's own code for what went wrong, when it gives one."""
    if faults := _faults(payload):
        value = faults[0].get("type")
        return value if isinstance(value, str) else None
    if not isinstance(payload, Mapping):
        return None
    detail = payload.get("detail")
    value = pick(detail, ("code",)) if isinstance(detail, Mapping) else None
    value = value or pick(payload, ("error_code", "code"))
    return str(value) if isinstance(value, (str, int)) else None


def detail_text(payload: object) -> str:
    """FastAPI's `detail` when it is text."""
    detail = payload.get("detail") if isinstance(payload, Mapping) else None
    return detail if isinstance(detail, str) else ""


def _faults(payload: object) -> list[Mapping[str, Any]]:
    detail = payload.get("detail") if isinstance(payload, Mapping) else None
    return [item for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []


def _loc(item: Mapping[str, Any]) -> tuple[str, ...]:
    loc = item.get("loc")
    return tuple(str(part) for part in loc) if isinstance(loc, list) else ()


def _fault_text(item: Mapping[str, Any]) -> str:
    # Not `input`: at login it is the password.
    text = f"{'.'.join(_loc(item))}: {item.get('msg')}"
    ctx = item.get("ctx")
    expected = ctx.get("expected") if isinstance(ctx, Mapping) else None
    return f"{text} (expected {expected})" if expected and str(expected) not in text else text
