"""
Bitso's answers: what they say, and what its error codes mean.

Source: Bitso API v3, "Error codes" pages, and the older single-page reference for codes up to 0376.
"""

from __future__ import annotations

from typing import Final

from orderbridge.http.body import Unreadable, load
from orderbridge.http.transport import WireResponse
from orderbridge.venue.meanings import Codes, Meaning, Said, rows_of
from orderbridge.venue.sender import HttpCall

_KEYS_TOLD: Final = 20
_ELSEWHERE: Final = "elsewhere"

# Every documented code once, but for those that mean one thing to a read and another to a write.
CODES: Final = Codes(
    both=rows_of(
        (Meaning.NOT_ADMITTED, "0206 0207"),
        (Meaning.CREDENTIALS, "0201 0203 0204 0205 0208 0209 0210 0211 0214 0215 0326"),
        (Meaning.PERMISSION, "0202 0213 0216"),
        (Meaning.FUNDS, "0379 0601 0602"),
        (Meaning.INVALID, "0302 0303 0304 0306 0307 0308 0309 0329 0360 0361 0372 0408 0409 0412 0413"),
        (Meaning.RULE, "0301 0401-0407"),
        (Meaning.CLOSED, "0410 0411 1008"),
        (Meaning.TOO_MANY, "1001"),
        (Meaning.EXISTS, "0356"),
        (Meaning.NOT_FOUND, "0312 0357 0380"),
        (Meaning.NO_TRADES, "0378"),
        (Meaning.NOT_READY, "0377"),
        (Meaning.THROTTLED, "0801 0802"),
        (Meaning.REFUSED, "0305 0310 0311 0313-0325 0327 0328 0330-0355 0358 0359 0362-0371 0374 0376 0381 0382"),
        (Meaning.REFUSED, "0501-0504 0506 0701-0732 0901 1005 1201 1202 1299 1301 1302 1303"),
        (Meaning.UNCLEAR, "0101 0102 0212 0373 0375 0414-0418 1000 1002 1003 1004 1006 1007 1009 1101-1106"),
        (Meaning.UNCLEAR, "1401 1402 1700-1707"),
    ),
    # A list may be refused for one of its ids. Every other refusal would meet each part of the list alike.
    reads=rows_of(
        (Meaning.BAD_ID, "0304 0372"),
        (Meaning.NOT_FOUND, "1401"),
        (Meaning.ELSEWHERE, f"0322 {_ELSEWHERE}"),
    ),
    # A new order names no other.
    columns={"submit": rows_of((Meaning.REFUSED, "0312 0357 0380")), "edit": {}},
)


def fold_code(code: object) -> str:
    """The four-character form: old answers carried a bare integer."""
    return str(code).strip().zfill(4)


def understand(response: WireResponse, call: HttpCall) -> Said:
    """Read an answer: its payload, or the code and the message in Bitso's envelope."""
    try:
        envelope = load(response.body)
    except Unreadable as error:
        return _bare(response, str(error))
    if not isinstance(envelope, dict) or "success" not in envelope:
        keys = tuple(map(str, envelope))[:_KEYS_TOLD] if isinstance(envelope, dict) else (type(envelope).__name__,)
        return _bare(response, f"no Bitso envelope in the answer (keys: {', '.join(keys) or 'none'})", keys)
    if envelope["success"] in (True, "true", "1") and response.status < 400:
        return Said(ok=True, payload=envelope.get("payload"))
    told = envelope.get("error")
    if not isinstance(told, dict) or told.get("code") is None:
        said = told.get("message") if isinstance(told, dict) else told
        return Said(key="no code", text=f"Bitso gives no code: {said or 'nor a message'}")
    code, said = fold_code(told["code"]), told.get("message") or "no message"
    hint = ": is base_url right?" if CODES.of(code) is Meaning.ELSEWHERE else ""
    return Said(key=code, code=code, text=f"Bitso says {code}: {said}{hint}")


def _bare(response: WireResponse, text: str, keys: tuple[str, ...] = ()) -> Said:
    # Bitso answers in its envelope even to a path that it does not know, so this is somebody else.
    if response.status == 404 or 300 <= response.status < 400:
        return Said(key=_ELSEWHERE, keys=keys, text=f"{text}: is base_url right?")
    return Said(keys=keys, text=text)
