"""Whatever bytes arrive, at whatever endpoint: a documented error or 404, 405, 413, and never a 500."""

import asyncio
import hashlib
import hmac
import itertools
import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderbridge.simulator import BitcainSettings, BitsoSettings, Simulator
from orderbridge.simulator.faults import KINDS
from orderbridge.simulator.message import Request, Response

TEXT = st.text(max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
METHODS = st.sampled_from(["GET", "POST", "DELETE", "PATCH", "PUT", "HEAD", "OPTIONS"])
NUMBERS = st.sampled_from(["0.01", "1", "1000000", "-1", "", "1e9", "NaN", "0." + "1" * 58, "9" * 59])
BITSO_BODY = st.fixed_dictionaries(
    {},
    optional={
        "book": st.sampled_from(["btc_mxn", "xrp_usdt"]) | JSON,
        "side": st.sampled_from(["buy", "sell"]) | JSON,
        "type": st.sampled_from(["limit", "market"]) | JSON,
        "time_in_force": st.sampled_from(["postonly", "fillorkill"]) | JSON,
        "origin_id": TEXT | JSON,
        **dict.fromkeys(["major", "minor", "price", "stop", "slippage_tolerance", "cancel"], NUMBERS | JSON),
    },
)
BITCAIN_BODY = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from(["BTC/USDT", "ETH/BTC"]) | JSON,
        "side": st.sampled_from(["buy", "sell"]) | JSON,
        "type": st.sampled_from(["limit", "market", "stop_limit", "oco"]) | JSON,
        "time_in_force": st.sampled_from(["gtc", "gtt", "fok"]) | JSON,
        "status": TEXT | JSON,
        "expires_at": st.sampled_from(["2030-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9" * 40]) | JSON,
        "email": TEXT | JSON,
        "password": TEXT | JSON,
        **dict.fromkeys(["quantity", "price", "stop_price"], NUMBERS | JSON),
        **dict.fromkeys(["post_only", "client_order_id", "agent_id", "refresh_token"], JSON),
    },
)
QUERIES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789=&,%+-_:T;[]\x00é", max_size=60)
BITSO_PATHS = st.sampled_from(
    ["orders", "orders/all", "orders/a-b", "open_orders", "user_trades", "user_trades/1",
    "order_trades/x", "balance",
     "fees", "order_book", "trades", "ticker", "available_books", "catalogues", "", "orders/%ff/%00"]
)  # fmt: skip
BITCAIN_PATHS = st.sampled_from(
    ["api/v1/orders", "api/v1/orders/history", "api/v1/orders/6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10",
    "auth/login",
     "api/v1/orders/%ff", "api/v1/orders/x/retry", "auth/refresh", "", "api"]
)  # fmt: skip
BITCAIN_ORDER = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "70000"}
LOGIN = {"email": "bot@example.com", "password": "simulated-password"}
FEW = {"max_examples": 300, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


class Bench:
    """Venues that are asked without sockets."""

    def __init__(self, *, page: bool = False) -> None:
        self.sim = Simulator(page=page)
        self._nonces = itertools.count(1)

    def bitso(self, method: str, target: str, body: bytes) -> Response:
        """A rightly signed request."""
        nonce, secret = str(next(self._nonces)), self.sim.bitso.api_secret.encode()
        text = f"{nonce}{method}{target}".encode("latin-1", "replace") + body
        signature = hmac.new(secret, text, hashlib.sha256).hexdigest()
        headers = {"authorization": f"Bitso {self.sim.bitso.api_key}:{nonce}:{signature}"}
        return self.sim.bitso.handle(Request(method, target, headers, body))

    def bitcain(self, method: str, target: str, body: bytes) -> Response:
        """A request with a good token."""
        headers = {"authorization": f"Bearer {self.sim.bitcain.token}"}
        return self.sim.bitcain.handle(Request(method, target, headers, body))


@pytest.fixture(scope="module")
def bench() -> Bench:
    """One simulator for all of it, so that earlier orders are in the way of later ones."""
    return Bench()


def as_bytes(value: Any) -> bytes:
    """A body: JSON of a value, or bytes as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@settings(**FEW)
@given(
    method=METHODS,
    version=st.sampled_from(["api/v3", "v3", "api/v4"]),
    path=BITSO_PATHS,
    query=QUERIES,
    body=BITSO_BODY | JSON | st.binary(max_size=80),
)
def test_bitso_always_answers_in_its_envelope(
    bench: Bench, method: str, version: str, path: str, query: str, body: Any
) -> None:
    """Success or a code, as JSON, with a documented status."""
    response = bench.bitso(method, f"/{version}/{path}?{query}", as_bytes(body))

    answer = json.loads(response.body)
    assert response.status in (200, 400, 401, 404)
    assert answer["success"] is (response.status == 200)
    assert answer["success"] or len(answer["error"]["code"]) == 4


@settings(**FEW)
@given(method=METHODS, path=BITCAIN_PATHS, query=QUERIES, body=BITCAIN_BODY | JSON | st.binary(max_size=80))
def test_bitcain_always_answers_with_a_detail(bench: Bench, method: str, path: str, query: str, body: Any) -> None:
    """A body of its own or a detail, as JSON, with one of the statuses of a refusal."""
    response = bench.bitcain(method, f"/{path}?{query}", as_bytes(body))

    answer = json.loads(response.body)
    assert response.status in (200, 201, 400, 401, 404, 405, 409, 422)
    assert response.status < 300 or answer["detail"]


@settings(**FEW)
@given(target=TEXT, header=TEXT, body=st.binary(max_size=200))
def test_headers_and_targets_of_any_kind(bench: Bench, target: str, header: str, body: bytes) -> None:
    """Neither a strange target nor a strange Authorization header breaks a venue."""
    for venue in (bench.sim.bitso, bench.sim.bitcain):
        for value in (
            header,
            f"Bitso {header}",
            f"Bearer {header}",
            f"Bitso simulated-key:{header}:{header}",
        ):
            response = venue.handle(Request("POST", target, {"authorization": value}, body))
            assert response.status in (400, 401, 404, 405, 422)


ODD = st.sampled_from([0, -1, 10**400, 1e400, float("nan"), 1e12, "x\r\ny", "\ud800", "", 5, 0.5, True, None]) | JSON
CONTROLS = st.sampled_from(["faults", "clock", "trade", "settings", "state", "", "\x00"])
CONTROL = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.sampled_from(sorted(KINDS)) | JSON},
        optional=dict.fromkeys(
            ["nth", "times", "probability", "status", "seconds", "share", "piece", "retry_after", "word", "seen", "x"],
            ODD,
        ),
    ),
    st.fixed_dictionaries(
        {"market": st.sampled_from(["btc_mxn", "binanceus:BTC/USDT"]) | JSON, "price": NUMBERS | ODD},
        optional={"quantity": NUMBERS | ODD, "book": JSON},
    ),
    st.fixed_dictionaries({"seconds": ODD}),
    st.dictionaries(
        st.sampled_from([each.name for kind in (BitsoSettings, BitcainSettings) for each in fields(kind)]), ODD
    ),
)
ORIGINS = st.sampled_from(["http://[", "http://127.0.0.1", "null", "//", "http://\x00@[::1"]) | TEXT


@settings(**FEW)
@given(method=METHODS, what=CONTROLS, origin=st.none() | ORIGINS, body=CONTROL | JSON | st.binary(max_size=80))
def test_controls_refuse_what_they_cannot_do_and_break_nothing(
    method: str, what: str, origin: str | None, body: Any
) -> None:
    """A control works or is a 4xx, and whatever it was told, both venues go on answering."""
    bench = Bench(page=True)
    headers = {"host": "127.0.0.1"} | ({} if origin is None else {"origin": origin})

    for venue in (bench.sim.bitso, bench.sim.bitcain):
        answer = venue.handle(Request(method, f"/_simulator/{what}", headers, as_bytes(body)))
        assert answer.status in (200, 400, 403, 404)
        assert json.loads(answer.body)

    order = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.01", "price": "1300000"}
    for call in (
        lambda: bench.bitso("POST", "/api/v3/orders", as_bytes(order)),
        lambda: bench.bitso("GET", "/api/v3/open_orders", b""),
        lambda: bench.bitso("GET", "/api/v3/user_trades", b""),
        lambda: bench.bitso("GET", "/api/v3/ticker?book=btc_mxn", b""),
        lambda: bench.bitcain("POST", "/api/v1/orders", as_bytes(BITCAIN_ORDER)),
        lambda: bench.bitcain("DELETE", f"/api/v1/orders/{bench.sim.bitcain.put().id}", b""),
        lambda: bench.bitcain("POST", "/auth/login", as_bytes(LOGIN)),
        lambda: bench.sim.bitso.handle(Request("GET", "/_simulator/state", {})),
    ):
        assert 200 <= call().status < 600


@settings(max_examples=60, deadline=None)
@given(chunks=st.lists(st.binary(max_size=60), max_size=5))
def test_raw_bytes_on_the_socket_are_answered_or_ignored(chunks: list[bytes]) -> None:
    """Bytes that are no HTTP get a 4xx or nothing, and the server lives on."""

    async def talk() -> bytes:
        async with Simulator() as sim:
            port = int(sim.bitso.origin.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"".join(chunks) + b"\r\n\r\n")
            writer.write_eof()
            answer = await reader.read(64)
            writer.close()
            second, other = await asyncio.open_connection("127.0.0.1", port)
            other.write(b"GET /v3/catalogues HTTP/1.1\r\nconnection: close\r\n\r\n")
            assert (await second.read(15)) == b"HTTP/1.1 200 OK"
            other.close()
            return answer

    answer = asyncio.run(talk())

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


async def test_a_time_at_the_edge_of_the_calendar_is_no_crash(bitcain: Any) -> None:
    """A date whose UTC form lies before the year 1 is answered like any other."""
    answer = await bitcain.send("GET", "/api/v1/orders", params={"start_date": "0001-01-01T00:00:00+05:00"})

    assert answer.status_code == 200
