"""
Checks who asks, by `Authorization: Bitso KEY:NONCE:SIGNATURE` over the raw request target and body, and how often.

Codes: no header `0208`, unknown key or malformed header `0201`, nonce not a number or over 19 digits `0206`,
nonce used or too low `0207`, signature `0215`. Which code fits which cause is our reading of their texts.
So many requests in any sixty seconds are let through, then there is a lock-out of a minute. The block of 24 hours
after repeated lock-outs is left out: neither its threshold nor its answer is documented.
"""

import hashlib
import hmac
from collections import defaultdict, deque
from dataclasses import dataclass, field

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitso.mapping import BitsoRefusal
from orderbridge.simulator.message import Request
from orderbridge.simulator.settings import BitsoSettings

V1_DIGITS = 13
MOST_DIGITS = 19
KEPT_NONCES = 500_000
WINDOW = 60.0


@dataclass(slots=True)
class Nonces:
    """
    The nonces of one key. Up to 13 digits each must be above all before it; 14 to 19 digits need only be new.

    The mark is shared: after a long nonce, short ones are too low, for ever. Of a very long run only the
    highest half million are remembered, and lower ones are refused.
    """

    highest: int = 0
    floor: int = 0
    seen: set[int] = field(default_factory=set)

    def accept(self, text: str) -> None:
        """Take the nonce or raise."""
        if not (text.isascii() and text.isdigit()) or len(text) > MOST_DIGITS:
            raise BitsoRefusal("0206")
        nonce = int(text)
        if len(text) <= V1_DIGITS:
            fresh = nonce > self.highest
        else:
            fresh = nonce > self.floor and nonce not in self.seen
        if not fresh:
            raise BitsoRefusal("0207", about=f"it must be higher than {self.highest}")
        self.highest = max(self.highest, nonce)
        self.seen.add(nonce)
        if len(self.seen) > 2 * KEPT_NONCES:
            self._forget()

    def _forget(self) -> None:
        kept = sorted(self.seen)[-KEPT_NONCES:]
        self.floor = kept[0] - 1
        self.seen = set(kept)


class Keys:
    """The API keys, their secrets, accounts and nonces."""

    def __init__(self) -> None:
        self._nonces: dict[str, Nonces] = {}

    def check(self, request: Request, *, secrets: dict[str, str]) -> str:
        """
        The key that signed the request.

        Raises:
            BitsoRefusal: with the code of the first thing that is wrong.
        """
        header = request.headers.get("authorization", "")
        if not header:
            raise BitsoRefusal("0208")
        scheme, _, rest = header.partition(" ")
        parts = rest.split(":")
        if scheme != "Bitso" or len(parts) != 3 or parts[0] not in secrets:
            raise BitsoRefusal("0201")
        key, nonce, signature = parts
        if not hmac.compare_digest(sign(secrets[key], nonce, request).encode(), signature.encode("utf-8", "replace")):
            raise BitsoRefusal("0215")
        self._nonces.setdefault(key, Nonces()).accept(nonce)
        return key


def sign(secret: str, nonce: str, request: Request) -> str:
    """The signature that the request must have."""
    text = f"{nonce}{request.method}{request.target}".encode("latin-1", "replace") + request.body
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class Lockouts:
    """Counts requests by user or address."""

    def __init__(self, settings: BitsoSettings, clock: SimClock) -> None:
        self._settings = settings
        self._clock = clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._locked_until: dict[str, float] = {}

    def count(self, who: str, *, most: int) -> None:
        """
        Take note of one request.

        Raises:
            BitsoRefusal: `0801`, over the limit or still locked out.
        """
        if not self._settings.pacing:
            return
        now = self._clock.time()
        if now < self._locked_until.get(who, 0.0):
            raise BitsoRefusal("0801")
        times = self._times[who]
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= most:
            self._locked_until[who] = now + self._settings.lockout
            times.clear()
            raise BitsoRefusal("0801")
        times.append(now)
