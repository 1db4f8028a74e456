"""Calls to one Bitso address with one key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orderbridge.adapters.bitso.auth import Signer
from orderbridge.adapters.bitso.codes import CODES, understand
from orderbridge.errors import ConfigurationError
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Deadline
from orderbridge.http.session import Session
from orderbridge.model.permit import Lane, Permit
from orderbridge.venue.sender import HttpCall, HttpChannel, Sender

# Source: Bitso API v3, "General Concepts", rate limits: 300 private calls a minute by user, 60 public ones by
# IP, cancels not counted. A burst and a refill that together never pass the figure in any 60 s.
PRIVATE_RATE: Final = Rate(burst=60, per_second=4.0, free_lanes=frozenset({"cancel"}))
PUBLIC_RATE: Final = Rate(burst=20, per_second=40 / 60)


class BitsoClient:
    """Speaks HTTP to one Bitso address with one key: paths and queries in, payloads or errors out."""

    def __init__(self, *, session: Session, public: Session, signer: Signer, base_url: str) -> None:
        self.session = session
        self.gateway = session.gateway
        self.base_url = base_url.rstrip("/")
        channel = HttpChannel(session, base_url=base_url, auth=signer, understand=understand)
        self.sender = Sender(channel, session, CODES, public=public)

    async def get(self, path: str, *, deadline: Deadline, operation: str, lane: Lane = "read") -> Any:
        """A private read; see `Sender.read`."""
        return await self.sender.read(HttpCall(operation=operation, path=path), deadline=deadline, lane=lane)

    async def get_public(self, path: str, *, deadline: Deadline, operation: str) -> Any:
        """A public read: unsigned, and counted by address instead of by key."""
        return await self.sender.read(HttpCall(operation=operation, path=path, is_public=True), deadline=deadline)

    async def write(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        *,
        permit: Permit | None,
        deadline: Deadline,
        operation: str,
        not_after: float | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        version: int = 3,
    ) -> Any:
        """Send a write once; see `Sender.write`."""
        call = HttpCall(
            operation=operation,
            path=path,
            method=method,
            fields=fields,
            order_id=order_id,
            client_order_id=client_order_id,
            base_url=self._address(version),
        )
        return await self.sender.write(call, permit=permit, deadline=deadline, not_after=not_after)

    def _address(self, version: int) -> str:
        if version == 3:
            return self.base_url
        if not self.base_url.endswith("/v3"):
            raise ConfigurationError(
                f"{self.base_url} does not end in /v3, so where v{version} is cannot be told", gateway=self.gateway
            )
        return f"{self.base_url.removesuffix('3')}{version}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self.sender.aclose()
