"""The right to send one request: paced first, so that nothing waits once risk has begun."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal

Lane = Literal["place", "read", "resolve", "cancel"]
# In order of right: a cancel goes before everything else that waits.
LANES: Final[tuple[Lane, ...]] = ("cancel", "resolve", "place", "read")


class Permit:
    """
    The right to send one request now, granted by `gateway.permit(lane)`.

    The `submit` that gets it spends it. Left unspent, it gives its slot back when its context ends.
    """

    __slots__ = ("_give_back", "_open", "gateway", "granted_at", "issuer", "lane")

    def __init__(
        self,
        *,
        gateway: str,
        lane: Lane,
        granted_at: float,
        issuer: object = None,
        give_back: Callable[[], None] | None = None,
    ) -> None:
        self.gateway = gateway
        self.lane = lane
        self.granted_at = granted_at
        # Whose slot it is: two gateways of one name may be of different keys.
        self.issuer = issuer
        self._give_back = give_back
        self._open = True

    @property
    def spent(self) -> bool:
        """True once it has been used or given back."""
        return not self._open

    def spend(self) -> bool:
        """Use it up. False when that had happened before."""
        was_open, self._open = self._open, False
        return was_open

    def give_back(self) -> None:
        """Return the slot if it was not spent."""
        if self.spend() and self._give_back is not None:
            self._give_back()

    async def __aenter__(self) -> Permit:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()

    def __repr__(self) -> str:
        state = "spent" if self.spent else "open"
        return f"Permit(gateway={self.gateway!r}, lane={self.lane!r}, {state})"
