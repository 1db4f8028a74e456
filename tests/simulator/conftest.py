"""A running simulator, and small clients that know the two APIs from their documents only."""

import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from orderbridge.simulator import SimClock, Simulator
from tests.kind import KIND

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


class BitsoClient:
    """Signs as Bitso's documents say."""

    def __init__(
        self, sim: Simulator, http: httpx.AsyncClient, *, first_nonce: int = 10**18, second: bool = False
    ) -> None:
        self._sim = sim
        self._second = second
        self._http = http
        self._nonces = itertools.count(first_nonce)
        self.prefix = "/api/v3"

    async def send(
        self, method: str, path: str, body: Any = None, *, nonce: str | None = None, **headers: str
    ) -> httpx.Response:
        """One signed request."""
        venue, known = self._sim.bitso, self._sim.bitso.settings
        key, secret = (known.second_key, known.second_secret) if self._second else (known.api_key, known.api_secret)
        target = self.prefix + path
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        nonce = nonce or str(next(self._nonces))
        text = f"{nonce}{method}{target}".encode() + raw
        signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        signed = {"authorization": f"Bitso {key}:{nonce}:{signature}", **headers}
        if raw:
            signed["content-type"] = "application/json"
        return await self._http.request(method, venue.origin + target, content=raw, headers=signed)

    async def get(self, path: str) -> Any:
        """The payload of a good answer."""
        response = await self.send("GET", path)
        assert response.status_code == 200, response.text
        body = response.json()
        assert body["success"] is True
        return body["payload"]

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The payload of a good answer to a write."""
        response = await self.send(method, path, body)
        assert response.status_code == 200, response.text
        return response.json()["payload"]

    async def place(self, **body: Any) -> str:
        """The oid of a new order: a small resting buy unless told otherwise."""
        whole = {"book": "btc_mxn", "side": "buy", "type": "limit"}
        if "major" not in body and "minor" not in body:
            whole["major"] = "0.01"
        if body.get("type", "limit") == "limit":
            whole["price"] = "1000000"
        payload = await self.ok("POST", "/orders", whole | body)
        assert payload.keys() == {"oid"}
        return str(payload["oid"])

    async def row(self, oid: str) -> Any:
        """One order as look-up shows it."""
        rows = await self.get(f"/orders/{oid}")
        assert len(rows) == 1
        return rows[0]

    async def code(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and code of a refusal."""
        response = await self.send(method, path, body)
        assert response.json()["success"] is False
        return response.status_code, response.json()["error"]["code"]


class BitcainClient:
    """Sends the ready token."""

    def __init__(self, sim: Simulator, http: httpx.AsyncClient) -> None:
        self._sim = sim
        self._http = http

    async def send(self, method: str, path: str, *, token: str | None = "", **how: Any) -> httpx.Response:
        """One request; `token=None` sends none."""
        venue = self._sim.bitcain
        headers = {} if token is None else {"authorization": f"Bearer {token or venue.token}"}
        return await self._http.request(method, venue.base_url + path, headers=headers, **how)

    async def get(self, path: str, **params: Any) -> Any:
        """The body of a good answer."""
        response = await self.send("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def clock() -> SimClock:
    """A clock that stands still."""
    return SimClock(start=START, running=False)


@pytest.fixture
async def sim(clock: SimClock) -> AsyncIterator[Simulator]:
    """Both venues, running; Bitso is kind."""
    async with Simulator(seed=1, clock=clock, bitso=KIND) as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A plain client."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def bitso(sim: Simulator, http: httpx.AsyncClient) -> BitsoClient:
    """An independent Bitso client."""
    return BitsoClient(sim, http)


@pytest.fixture
def bitcain(sim: Simulator, http: httpx.AsyncClient) -> BitcainClient:
    """An independent Bitcain client."""
    return BitcainClient(sim, http)


@pytest.fixture
def bitso_client() -> type[BitsoClient]:
    """Makes Bitso clients for simulators that a test starts itself."""
    return BitsoClient


@pytest.fixture
def bitcain_client() -> type[BitcainClient]:
    """Makes Bitcain clients for simulators that a test starts itself."""
    return BitcainClient
