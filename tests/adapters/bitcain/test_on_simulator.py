"""The gateway against the simulated Bitcain, over real sockets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.http.retry import Retries
from orderbridge.model.basics import OrderStatus
from orderbridge.model.results import Answer
from orderbridge.simulator import SimClock, Simulator

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
WORDS = ["pending", "open", "partially_filled", "filled", "cancelled", "expired", "rejected", "failed"]
STATUSES = dict(zip(WORDS, [OrderStatus.ACCEPTED, *map(OrderStatus, WORDS[1:])], strict=True))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seed=1, clock=SimClock(start=START, running=False)) as running:
        yield running


def gateway(sim: Simulator, **settings: Any) -> BitcainGateway:
    venue = sim.bitcain
    given: dict[str, Any] = {"base_url": venue.base_url, "trading_mode": "paper", "clock": sim.clock.time}
    given |= {"limits": None, "retries": Retries(first_wait=0.01), **settings}
    if not {"token", "email", "refresh_token"} & set(settings):
        given["token"] = venue.token
    return BitcainGateway(**given)


def put_one_of_each(sim: Simulator) -> dict[str, Any]:
    put = {}
    for number, word in enumerate(WORDS):
        moment = START - timedelta(minutes=number + 1)
        put[word] = sim.bitcain.put(
            status=word, client_order_id=f"bot-{word}", quantity="0.5", price="60000", created_at=moment
        )
    return put


DISGUISES = [
    *({"envelope": each} for each in ("success", "bare", "data", "success_data", "items")),
    *({"names": each} for each in ("variants", "camel")),
    {"decimals": "numbers"},
    *({"times": each} for each in ("offset", "naive", "no_fraction")),
    *({"status_spelling": each} for each in ("canceled", "upper", "dotted")),
    *({"paging": each} for each in ("cursor", "neither")),
    {"envelope": "items", "names": "camel", "decimals": "numbers", "times": "naive", "status_spelling": "dotted"},
]


@pytest.mark.parametrize("switches", DISGUISES, ids=str)
@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_every_disguise_is_seen_through(sim: Simulator, engine: str, switches: dict[str, Any]) -> None:
    """Whatever envelope, names, numbers, times and spellings: the same orders by id, client id and list."""
    for name, value in switches.items():
        setattr(sim.bitcain.settings, name, value)
    put = put_one_of_each(sim)

    async with gateway(sim, transport=engine) as bitcain:
        result = await bitcain.lookup(*(order.order_id for order in put.values()), *(f"bot-{word}" for word in WORDS))
        still_open = await bitcain.open_orders()
        listed = [order async for order in bitcain.orders(since=START - timedelta(hours=1))]

    assert result.undecided == result.not_seen == result.bad_rows == ()
    for word in WORDS:
        order = result[f"bot-{word}"].order
        assert order == result[put[word].order_id].order
        assert (order.status, order.anomalies, order.paper) == (STATUSES[word], (), True)
        assert (order.symbol, order.quantity, order.price) == ("BTC/USDT", Decimal("0.5"), Decimal(60000))
        assert order.filled_quantity == put[word].filled
        assert order.created_at == put[word].created_at
    assert [order.client_order_id for order in still_open] == [f"bot-{word}" for word in WORDS[:3]]
    assert [order.client_order_id for order in listed] == [f"bot-{word}" for word in WORDS]


async def test_unknown_words_may_be_live(sim: Simulator) -> None:
    """A status nobody knows keeps its text and counts as open."""
    put_one_of_each(sim)
    sim.bitcain.settings.status_spelling = "unknown"

    async with gateway(sim) as bitcain:
        orders = await bitcain.open_orders()

    assert {(order.status, order.raw_status) for order in orders} == {(OrderStatus.UNKNOWN, "pending_review")}
    assert len(orders) == len(WORDS)


async def test_modes_are_kept_apart(sim: Simulator) -> None:
    """Paper and live orders come in one list; each gateway shows its own."""
    paper, live = sim.bitcain.put(trading_mode="paper"), sim.bitcain.put(trading_mode="live")

    async with gateway(sim) as one, gateway(sim, trading_mode="live") as other:
        result = await one.lookup(paper.order_id, live.order_id)
        assert result[live.order_id].answers == {"bitcain": Answer.CANNOT_ASK}
        assert [order.order_id for order in await one.open_orders()] == [paper.order_id]
        assert [order.order_id for order in await other.open_orders()] == [live.order_id]
        sim.bitcain.settings.show_mode = False
        assert {order.paper for order in await one.open_orders()} == {None}


@pytest.mark.parametrize("count", [200, 523])
@pytest.mark.parametrize("paging", ["offset", "cursor", "neither"])
async def test_long_lists_are_read_to_the_end(sim: Simulator, paging: str, count: int) -> None:
    """In about one request per 200 orders, however the server pages."""
    sim.bitcain.settings.paging = paging
    for number in range(count):
        sim.bitcain.put(client_order_id=f"bot-{number}", created_at=START - timedelta(seconds=number))

    async with gateway(sim) as bitcain:
        assert len(await bitcain.open_orders()) == count
        assert (await bitcain.get(f"bot-{count - 1}")).client_order_id == f"bot-{count - 1}"

    assert sim.bitcain.requests["GET /api/v1/orders"] <= 10


@pytest.mark.parametrize(("paging", "times"), [("offset", "z"), ("neither", "z"), ("neither", "no_fraction")])
async def test_a_long_history_is_whole(sim: Simulator, paging: str, times: str) -> None:
    """1,200 ended orders, 500 at a time, each once."""
    sim.bitcain.settings.paging, sim.bitcain.settings.times = paging, times
    for number in range(1200):
        sim.bitcain.put(status="expired", created_at=START - timedelta(seconds=number))

    async with gateway(sim) as bitcain:
        orders = [order async for order in bitcain.orders(since=START - timedelta(days=1))]

    assert len({order.order_id for order in orders}) == len(orders) == 1200
    assert orders == sorted(orders, key=lambda order: order.created_at, reverse=True)
    assert sim.bitcain.requests["GET /api/v1/orders/history"] <= 4


async def test_a_shadowed_history_leaves_the_list(sim: Simulator) -> None:
    """The server whose id route swallows the word is read by its list."""
    sim.bitcain.settings.history = "shadowed"
    put_one_of_each(sim)

    async with gateway(sim) as bitcain:
        orders = [order async for order in bitcain.orders(since=START - timedelta(hours=1))]

    assert len(orders) == len(WORDS)


async def test_a_status_word_the_server_lacks(sim: Simulator) -> None:
    """Its 422 shows the words that it has."""
    async with gateway(sim) as bitcain:
        with pytest.raises(errors.VenueError, match="'partially_filled'"):
            [order async for order in bitcain.orders(since=START, order_status="resting")]


async def test_login_expiry_and_refresh(sim: Simulator) -> None:
    """A session is opened, renewed before its end, and after it was voided."""
    login = {"email": sim.bitcain.email, "password": sim.bitcain.password}
    async with gateway(sim, **login) as bitcain:
        await bitcain.open_orders()
        sim.clock.advance(3590)
        await bitcain.open_orders()
        sim.bitcain.expire_tokens()
        await bitcain.open_orders()

    assert sim.bitcain.requests["POST /auth/login"] == 1
    assert sim.bitcain.requests["POST /auth/refresh"] == 2


@pytest.mark.parametrize("switches", [{}, {"login_failure": 200}, {"login_session": "mfa"}], ids=str)
async def test_logins_that_fail(sim: Simulator, switches: dict[str, Any]) -> None:
    """A wrong password in both ways, and a second factor, are credentials and no mystery."""
    for name, value in switches.items():
        setattr(sim.bitcain.settings, name, value)
    password = sim.bitcain.password if "login_session" in switches else "wrong-password"

    async with gateway(sim, email=sim.bitcain.email, password=password) as bitcain:
        result = await bitcain.lookup("bot-1")
        with pytest.raises(errors.AuthenticationFailed):
            await bitcain.open_orders()

    assert result.unreachable["bitcain"].kind == "credentials"


FAULTS = ["drop", "accept_then_drop", "error_5xx", "accept_then_5xx", "cut", "html", "empty"]


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_faults_of_one_request_are_survived(sim: Simulator, engine: str, kind: str) -> None:
    """A read whose answer is lost or no use is made again."""
    put = put_one_of_each(sim)
    sim.bitcain.fault(kind, nth=1)

    async with gateway(sim, transport=engine) as bitcain:
        orders = await bitcain.open_orders()
        sim.bitcain.clear_faults()
        sim.bitcain.fault(kind, operation="get", nth=1)
        found = await bitcain.get(put["filled"].order_id)

    assert len(orders) == 3
    assert found.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("drop", "unreachable"),
        ("error_5xx", "unreachable"),
        ("cut", "unreachable"),
        ("huge", "unreachable"),
        ("throttle", "throttled"),
        ("wrong_nonce", "credentials"),
        ("nothing_said", "unexpected"),
        ("not_success", "unexpected"),
        ("empty", "unexpected"),
    ],
)
async def test_a_server_that_keeps_failing_is_no_absence(sim: Simulator, kind: str, failure: str) -> None:
    """Every ref is undecided, with the kind of failure; nothing is not seen."""
    put = put_one_of_each(sim)
    refs = [put["open"].order_id, "bot-open"]
    sim.bitcain.fault(kind, **({"retry_after": 60} if kind == "throttle" else {}))

    async with gateway(
        sim, token=f"{sim.bitcain.token}", account=kind, retries=Retries(tries=2, first_wait=0.01)
    ) as one:
        result = await one.lookup(*refs, timeout=5)

    assert result.undecided == tuple(refs)
    assert result.unreachable[f"bitcain/{kind}"].kind == failure


async def test_a_server_that_is_down_is_unreachable(sim: Simulator) -> None:
    """And is read again once it is up."""
    put = put_one_of_each(sim)
    async with gateway(sim, retries=Retries(tries=2, first_wait=0.01)) as bitcain:
        await sim.bitcain.stop()
        result = await bitcain.lookup(put["open"].order_id)
        await sim.bitcain.start()
        found = await bitcain.get(put["open"].order_id)

    assert result.unreachable["bitcain"].kind == "unreachable"
    assert found.status is OrderStatus.OPEN


async def test_rows_that_come_twice_count_once(sim: Simulator) -> None:
    """By id."""
    put_one_of_each(sim)
    sim.bitcain.fault("duplicate_rows")

    async with gateway(sim) as bitcain:
        assert len(await bitcain.open_orders()) == 3


async def test_a_wrong_address_says_so(sim: Simulator) -> None:
    """A path below the origin, where nothing is served."""
    async with gateway(sim, base_url=f"{sim.bitcain.base_url}/bitcain") as bitcain:
        with pytest.raises(errors.ConfigurationError, match="base_url"):
            await bitcain.open_orders()
        result = await bitcain.lookup("bitcain:497f6eca-6276-4993-bfeb-53cbbbba6f08")

    assert len(result.undecided) == 1


async def test_a_wrong_token_is_told_once(sim: Simulator) -> None:
    """401 for each of them; no more requests than one per lane of work."""
    async with gateway(sim, token="wrong") as bitcain:
        result = await bitcain.lookup(*(sim.bitcain.new_id() for _ in range(50)), "bot-1", timeout=5)

    assert result.unreachable["bitcain"].kind == "credentials"
    assert len(result.undecided) == 51
    assert sum(sim.bitcain.requests.values()) <= 9


async def test_the_bytes_of_the_reads(sim: Simulator) -> None:
    """One order, the list and the history: path, query and bearer as they went out; the bodies are empty."""
    put = sim.bitcain.put(status="filled")
    seen = []

    async with gateway(sim) as bitcain:
        await bitcain.get(put.order_id)
        await bitcain.open_orders()
        seen += [order async for order in bitcain.orders(since=START, until=START + timedelta(hours=1))]

    targets = [request.target for request in sim.bitcain.last_requests]
    dates = "start_date=2026-01-05T09%3A59%3A59.999000Z&end_date=2026-01-05T11%3A00%3A00.001000Z"
    assert set(targets) == {
        f"/api/v1/orders/{put.order_id}",
        "/api/v1/orders?limit=200",
        f"/api/v1/orders?{dates}&limit=200",
        f"/api/v1/orders/history?{dates}&limit=500",
    }
    for request in sim.bitcain.last_requests:
        assert (request.method, request.body) == ("GET", b"")
        assert request.headers["authorization"] == f"Bearer {sim.bitcain.token}"
