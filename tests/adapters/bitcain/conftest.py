"""A hand-made server of Bitcain behind the transport seam, and a gateway to it."""

import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.http import WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.simulator import Simulator

NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z
_accounts = itertools.count()

Answer = WireResponse | Exception | Callable[[WireRequest], Any]


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A row in the canonical shape; created one second later per number."""
    return {
        "id": uuid(number),
        "client_order_id": f"bot-{number}",
        "exchange": "binanceus",
        "trading_mode": "paper",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "status": "open",
        "quantity": "0.50000000",
        "filled_quantity": "0.00000000",
        "remaining_quantity": "0.50000000",
        "price": "60000.00",
        "stop_price": None,
        "average_fill_price": None,
        "time_in_force": "gtc",
        "reduce_only": False,
        "post_only": False,
        "error_message": None,
        "created_at": f"2026-01-02T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000001Z",
        "updated_at": None,
        **changes,
    }


def reply(payload: Any, status: int = 200, **headers: str) -> WireResponse:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return WireResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


class Server:
    """
    Answers from `rows`, newest first as they stand there, unless `answers` holds something for the path. What is no
    GET is answered from `writes`.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.answers: dict[str, list[Answer]] = defaultdict(list)
        self.writes: list[Answer] = []
        self.requests: list[WireRequest] = []
        self.page_size = 200
        self.closed = False

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.requests.append(request)
        path = urlsplit(request.url).path
        queue = self.answers[path] if request.method == "GET" or path.startswith("/auth") else self.writes
        if queue:
            answer = queue.pop(0) if len(queue) > 1 else queue[0]
            if callable(answer):
                answer = answer(request)
            if hasattr(answer, "__await__"):
                answer = await answer
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self.default(path, dict(parse_qsl(urlsplit(request.url).query)))

    async def aclose(self) -> None:
        self.closed = True

    def default(self, path: str, query: dict[str, str]) -> WireResponse:
        if path == "/api/v1/orders":
            offset, size = int(query.get("offset", 0)), min(int(query.get("limit", 50)), self.page_size)
            page = self.rows[offset : offset + size]
            more = offset + size < len(self.rows)
            return reply({"success": True, "orders": page, "total": len(self.rows), "has_more": more})
        if path == "/api/v1/orders/history":
            return reply({"success": True, "orders": self.past[: int(query.get("limit", 100))]})
        for held in (*self.rows, *self.past):
            if path == f"/api/v1/orders/{held.get('id')}":
                return reply({"success": True, "order": held})
        return reply({"detail": "Order not found"}, 404)

    @property
    def sent(self) -> list[WireRequest]:
        """The writes to orders that came in."""
        return [request for request in self.requests if request.method != "GET" and "/auth/" not in request.url]

    @property
    def paths(self) -> list[str]:
        return [urlsplit(request.url).path for request in self.requests]

    def queries(self, path: str) -> list[dict[str, str]]:
        parts = [urlsplit(request.url) for request in self.requests]
        return [dict(parse_qsl(part.query)) for part in parts if part.path == path]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def make(server: Server) -> Callable[..., BitcainGateway]:
    """A gateway to the server. Each has a token of its own, since gateways of one key share their limits."""

    def gateway(**settings: Any) -> BitcainGateway:
        given: dict[str, Any] = {
            "base_url": "https://bitcain.test",
            "trading_mode": "paper",
            "transport": server,
            "clock": lambda: NOW,
            "limits": None,
            "retries": Retries(first_wait=0.001, longest_wait=0.002),
            **settings,
        }
        if not {"token", "email", "refresh_token"} & set(settings):
            given["token"] = f"token-{next(_accounts)}"
        return BitcainGateway(**given)

    return gateway


@pytest.fixture
async def connect(sim: Simulator) -> AsyncIterator[Callable[..., BitcainGateway]]:
    """Gateways to the simulated Bitcain, closed when the test is over."""
    made: list[BitcainGateway] = []

    def gateway(**settings: Any) -> BitcainGateway:
        made.append(sim.bitcain.gateway(retries=Retries(first_wait=0.01), **settings))
        return made[-1]

    yield gateway
    for each in made:
        await each.aclose()


class Kit:
    """The helpers above, for tests: modules of one folder cannot import each other here."""

    row = staticmethod(row)
    uuid = staticmethod(uuid)
    reply = staticmethod(reply)
    now = NOW


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
