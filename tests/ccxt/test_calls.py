"""Cancels and edits."""

from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.errors import JournalError
from orderbridge.model.basics import EditClass
from orderbridge.placement import MemoryJournal
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over
from tests.ccxt.kit import LIMIT, PLACE, appear, patient, put

pytestmark = pytest.mark.ccxt


async def test_a_cancel_tells_how_the_order_ended(sim: Simulator, exchange: Any) -> None:
    """A resting order is canceled with what it had filled; by either id."""
    first, second = put(sim), put(sim, origin_id="mine", filled_quantity="0.004")

    one = await exchange.cancel_order(first, "BTC/MXN")
    two = await exchange.cancel_order("", "BTC/MXN", {"clientOrderId": "mine"})

    assert (one["id"], one["status"], one["filled"]) == (first, "canceled", 0.0)
    assert (two["id"], two["status"], two["filled"]) == (second, "canceled", 0.004)
    assert not any(order.active for order in sim.bitso.accepted())


async def test_a_cancel_that_comes_too_late_says_closed(sim: Simulator, exchange: Any) -> None:
    """Defect 13 of ccxt: there a filled order looks cancelled; here it is closed."""
    oid = put(sim)
    sim.bitso.fault("fill_first", operation="cancel", nth=1)

    order = await exchange.cancel_order(oid)

    assert (order["status"], order["filled"], order["remaining"]) == ("closed", 0.01, 0.0)


@pytest.mark.parametrize("call", ["cancel_order", "cancel_orders", "cancel_all_orders"])
async def test_what_had_filled_before_a_cancel_is_not_told_as_all_that_did(
    sim: Simulator, exchange_of: Any, call: str
) -> None:
    """It traded on until then, and no read after it is answered: how much is not known, and not what was seen last."""
    exchange = exchange_of(timeout=2)
    order = await exchange.create_order(*LIMIT)
    assert (await exchange.fetch_order(order["id"]))["filled"] == 0
    sim.bitso.market("btc_mxn").fill(order["id"], quantity="0.004")
    for operation in ("lookup", "order_trades"):
        sim.bitso.fault("error_5xx", operation=operation)

    given = {"cancel_order": order["id"], "cancel_orders": [order["id"]], "cancel_all_orders": None}[call]
    told = await getattr(exchange, call)(given)
    (row,) = told if isinstance(told, list) else [told]

    assert (row["id"], row["status"]) == (order["id"], "canceled")
    assert row["filled"] is None


@pytest.mark.parametrize("id", ["all", "a/b", "../x", "nosuchorder00000"])
async def test_a_cancel_of_what_is_no_order_cancels_nothing(sim: Simulator, exchange: Any, id: str) -> None:
    """Defect 14 of ccxt: there `all` cancels everything. Here it is OrderNotFound, and all orders stay."""
    import ccxt

    put(sim)

    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order(id)

    assert [order.active for order in sim.bitso.accepted()] == [True]


async def test_a_cancel_whose_outcome_is_not_known_may_be_repeated(sim: Simulator, exchange_of: Any) -> None:
    """It is a NetworkError, which bots repeat; a cancel does no harm twice."""
    import ccxt

    from orderbridge.http.retry import Retries

    exchange = exchange_of(bridge_over(sim, gateway={"retries": Retries(tries=1)}), timeout=1)
    oid = put(sim)
    sim.bitso.fault("drop", operation="cancel")
    sim.bitso.fault("drop", operation="lookup")

    with pytest.raises(ccxt.NetworkError):
        await exchange.cancel_order(oid)
    sim.bitso.clear_faults()

    assert (await exchange.cancel_order(oid))["status"] == "canceled"


async def test_several_cancels_say_what_became_of_each(sim: Simulator, exchange: Any) -> None:
    """One per id in the order given; one that is not there says so, and hides none of the others."""
    first, second = put(sim), put(sim, status="completed")

    orders = await exchange.cancel_orders([first, "nosuchorder00000", second], "BTC/MXN")

    assert [order["status"] for order in orders] == ["canceled", None, "closed"]
    assert [order["id"] for order in orders] == [first, "nosuchorder00000", second]
    assert orders[1]["info"]["error"] == "OrderNotFound"


async def test_several_cancels_are_told_alike_however_they_are_named(sim: Simulator, exchange: Any) -> None:
    """By the exchange's ids, by the caller's own, or each with its symbol: one that is not there is a row."""
    first, second = put(sim, origin_id="a"), put(sim, origin_id="b")

    by_own = await exchange.cancel_orders([], "BTC/MXN", {"clientOrderIds": ["a", "none"]})
    each = await exchange.cancel_orders_for_symbols(
        [{"id": second, "symbol": "BTC/MXN"}, {"clientOrderId": "none", "symbol": "BTC/MXN"}]
    )

    assert [row["id"] for row in (*by_own, *each)] == [first, None, second, None]
    assert [row["status"] for row in (*by_own, *each)] == ["canceled", None, "canceled", None]
    assert [by_own[1]["clientOrderId"], each[1]["clientOrderId"]] == ["none", "none"]
    assert [by_own[1]["info"]["error"], each[1]["info"]["error"]] == ["OrderNotFound", "OrderNotFound"]


async def test_a_cancel_of_all_takes_a_trigger_that_says_no(sim: Simulator, exchange: Any) -> None:
    """`trigger: False` is what goes without saying; asked for the others only, it refuses to cancel all."""
    import ccxt

    oid = put(sim)

    with pytest.raises(ccxt.NotSupported, match="trigger"):
        await exchange.cancel_all_orders("BTC/MXN", {"trigger": True})
    rows = await exchange.cancel_all_orders("BTC/MXN", {"trigger": False, "stop": False})

    assert [row["id"] for row in rows] == [oid]


async def test_several_cancels_are_all_tried_before_a_failure_is_raised(sim: Simulator, exchange_of: Any) -> None:
    """One that fails leaves the others cancelled, and is told by its exception."""
    import ccxt

    exchange = exchange_of()
    first, last = put(sim, origin_id="a"), put(sim, origin_id="b")
    put(sim, origin_id="twice"), put(sim, origin_id="twice")

    with pytest.raises(ccxt.BadRequest, match="twice"):
        await exchange.cancel_orders([], None, {"clientOrderIds": ["a", "twice", "b"]})

    states = {order.oid: order.state for order in sim.bitso.accepted()}
    assert (states[first], states[last]) == ("cancelled", "cancelled")


async def test_all_are_cancelled_or_those_of_a_symbol(sim: Simulator, exchange: Any) -> None:
    """The answer has each as it is after that; ccxt's Bitso cannot keep to a symbol."""
    bitcoin, ether = put(sim), put(sim, symbol="ETH/USD", price="2000", quantity="1")

    of_symbol = await exchange.cancel_all_orders("ETH/USD")
    rest = await exchange.cancel_all_orders()

    assert [(order["id"], order["status"]) for order in of_symbol] == [(ether, "canceled")]
    assert [(order["id"], order["status"]) for order in rest] == [(bitcoin, "canceled")]


async def test_a_venue_that_is_down_cancels_nothing_and_says_so(sim: Simulator, exchange_of: Any) -> None:
    """A cancel of all that reached nobody is a NetworkError, and never an empty list."""
    import ccxt

    exchange = exchange_of(timeout=0.5)
    put(sim)
    await sim.bitso.stop()

    with pytest.raises(ccxt.NetworkError):
        await exchange.cancel_all_orders()
    with pytest.raises(ccxt.NetworkError):
        await exchange.fetch_open_orders()
    await sim.bitso.start()


# Edit.


async def test_an_edit_changes_the_order_in_place(sim: Simulator, exchange: Any) -> None:
    """It keeps its id; amount and price are brought to the steps; nothing new is placed."""
    oid = put(sim, origin_id="mine")

    edited = await exchange.edit_order(oid, "BTC/MXN", "limit", "buy", 0.020000000009, 570004.9)
    by_own = await exchange.edit_order("", "BTC/MXN", "limit", "buy", 0.03, 580000, {"clientOrderId": "mine"})

    assert (edited["id"], edited["amount"], edited["price"]) == (oid, 0.02, 570000.0)
    assert (by_own["id"], by_own["amount"], by_own["price"]) == (oid, 0.03, 580000.0)
    assert len(sim.bitso.accepted()) == 1


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("ETH/USD", "limit", "buy", 0.02, 570000), "the symbol of"),
        (("BTC/MXN", "market", "buy", 0.02, 570000), "the type of"),
        (("BTC/MXN", "limit", "sell", 0.02, 570000), "the side of"),
    ],
)
async def test_an_edit_of_what_cannot_be_changed_is_refused(
    sim: Simulator, exchange: Any, args: tuple[Any, ...], why: str
) -> None:
    """The bot means another order than the id does: nothing is sent."""
    import ccxt

    oid = put(sim)

    with pytest.raises(ccxt.InvalidOrder, match=why):
        await exchange.edit_order(oid, *args)

    assert not any(name.startswith("PATCH") for name in sim.bitso.requests)


async def test_an_edit_that_came_too_late_or_means_nothing(sim: Simulator, exchange: Any) -> None:
    """An ended order is an InvalidOrder, no change ArgumentsRequired, an unknown param NotSupported."""
    import ccxt

    oid, ended = put(sim), put(sim, status="completed")

    with pytest.raises(ccxt.InvalidOrder, match="filled"):
        await exchange.edit_order(ended, "BTC/MXN", "limit", "buy", 0.02, 570000)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.edit_order("nosuchorder00000", "BTC/MXN", "limit", "buy", 0.02, 570000)
    with pytest.raises(ccxt.ArgumentsRequired):
        await exchange.edit_order(oid, "BTC/MXN", "limit", "buy")
    with pytest.raises(ccxt.BadRequest, match="contradict"):
        await exchange.edit_order(
            oid, "BTC/MXN", "limit", "buy", 0.02, 570000, {"timeInForce": "PO", "postOnly": False}
        )


@pytest.mark.parametrize(
    ("type", "params", "why"),
    [
        ("limit", {"postOnly": True}, "postOnly"),
        ("LIMIT_MAKER", {}, "postOnly"),
        ("limit", {"timeInForce": "IOC"}, "timeInForce"),
        ("limit", {"clientOrderId": "another"}, "clientOrderId"),
        ("limit", {"newClientOrderId": "another"}, "clientOrderId"),
        ("limit", {"selfTradePreventionMode": "NONE"}, "selfTradePreventionMode"),
        ("limit", {"takeProfitPrice": 590000}, "takeProfitPrice"),
        ("oco", {}, "oco"),
    ],
)
async def test_an_edit_in_place_refuses_what_it_cannot_change(
    sim: Simulator, exchange: Any, type: str, params: dict[str, Any], why: str
) -> None:
    """By its name, and nothing is sent: none of it is dropped on the way."""
    import ccxt

    oid = put(sim, origin_id="mine")

    with pytest.raises(ccxt.NotSupported, match=why):
        await exchange.edit_order(oid, "BTC/MXN", type, "buy", 0.02, 570000, params)

    assert not any(name.startswith("PATCH") for name in sim.bitso.requests)


async def test_an_edit_may_say_what_the_order_is_already(sim: Simulator, exchange: Any) -> None:
    """Bots give the params of the create again: of those that change nothing none is in the way."""
    import ccxt

    first = await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, {"postOnly": True})
    params = {"postOnly": True, "timeInForce": "GTC", "clientOrderId": first["clientOrderId"], "recvWindow": 5000}

    edited = await exchange.edit_order(first["id"], "BTC/MXN", "LIMIT_MAKER", "buy", None, 570000, params)

    assert (edited["id"], edited["price"]) == (first["id"], 570000.0)
    with pytest.raises(ccxt.ArgumentsRequired, match="so already"):
        await exchange.edit_order(first["id"], "BTC/MXN", "limit", "buy", None, None, {"postOnly": True})


async def test_an_edit_whose_outcome_is_not_known_is_no_error_to_retry(sim: Simulator, exchange_of: Any) -> None:
    """The order may stand as it was or as it was meant: it is an ExchangeError, and no NetworkError."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(timeout=1)
    oid = put(sim)
    sim.bitso.fault("accept_then_5xx", operation="edit", nth=1)

    with pytest.raises(OrderOutcomeUnknown) as caught:
        await exchange.edit_order(oid, "BTC/MXN", "limit", "buy", 0.02, 570000)

    assert caught.value.order_id == oid


# Edits where the venue has none.


@pytest.fixture
def without_edits(sim: Simulator, exchange_of: Any) -> Any:
    """The calls over a venue that changes no order in place."""
    gateway = sim.bitso.gateway()
    gateway.capabilities = gateway.capabilities.model_copy(update={"edit": EditClass.NONE})
    return exchange_of(OrderBridge(gateway), timeout=2)


async def test_where_no_order_is_changed_in_place_another_is_placed(sim: Simulator, without_edits: Any) -> None:
    """As ccxt does it, and once: the first is cancelled before that, and what was not changed stays as it was."""
    first = await without_edits.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, {"postOnly": True})

    edited = await without_edits.edit_order(first["id"], "BTC/MXN", "limit", "buy", None, 570000)

    old, new = sim.bitso.accepted()
    assert (old.oid, old.active) == (first["id"], False)
    assert (new.oid, new.active) == (edited["id"], True)
    assert (edited["price"], edited["amount"], edited["timeInForce"]) == (570000.0, 0.01, "PO")


async def test_an_edit_whose_successor_is_not_known_is_answered_by_it(sim: Simulator, without_edits: Any) -> None:
    """Its order is over by then: an edit that repeats it is no edit of an ended one, and of two at once one is."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    moved = ("BTC/MXN", "limit", "buy", None, 570000)
    first = await without_edits.create_order(*LIMIT)
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown) as caught:
        await without_edits.edit_order(first["id"], *moved)
    oid = appear(sim, caught.value)
    patient(without_edits)

    row = dict(zip(("id", "symbol", "type", "side", "amount", "price"), (first["id"], *moved), strict=True))
    rows = await without_edits.edit_orders([row, row])

    edited, refused = sorted(rows, key=lambda each: "error" in each["info"])
    assert edited["id"] == oid
    assert refused["info"]["error"] == "InvalidOrder"
    assert sim.bitso.requests[PLACE] == 2


async def test_of_two_edits_of_one_order_at_once_one_places_another(sim: Simulator, without_edits: Any) -> None:
    """The second sees what became of it; and what was lost or filled beside a refusal is told."""
    first = await without_edits.create_order(*LIMIT)
    row = {"id": first["id"], "symbol": "BTC/MXN", "type": "limit", "side": "buy"}

    rows = await without_edits.edit_orders([{**row, "price": 570000}, {**row, "price": 580000}])
    edited, refused = sorted(rows, key=lambda each: "error" in each["info"])
    sim.bitso.fault("drop", operation="place")
    rows = await without_edits.edit_orders([{**row, "price": 590000}, {**row, "id": edited["id"], "price": 590000}])

    assert refused["info"]["error"] == "InvalidOrder"
    assert [order.oid for order in sim.bitso.accepted()] == [first["id"], edited["id"]]
    assert [each["info"]["error"] for each in rows] == ["InvalidOrder", "OrderOutcomeUnknown"]


async def test_an_edit_whose_look_came_late_places_no_second(sim: Simulator, without_edits: Any) -> None:
    """It saw the order open, which another edit has put another in the stead of since."""
    first = await without_edits.create_order(*LIMIT)
    sim.bitso.fault("delay", operation="lookup", nth=2, seconds=1.5)
    row = {"id": first["id"], "symbol": "BTC/MXN", "type": "limit", "side": "buy"}

    edited, refused = await without_edits.edit_orders([{**row, "price": 570000}, {**row, "price": 580000}])

    assert refused["info"]["error"] == "InvalidOrder"
    assert [order.oid for order in sim.bitso.accepted() if order.active] == [edited["id"]]


@pytest.mark.parametrize("name", ["create", "find"])
async def test_an_edit_beside_a_broken_journal_is_not_told_as_refused(
    sim: Simulator, without_edits: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The order may be cancelled by then, or be another already: its bot has to look, and places none beside it."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    async def broken(*_: object, **__: object) -> Any:
        raise JournalError("the disk is gone")

    first = await without_edits.create_order(*LIMIT)
    monkeypatch.setattr(MemoryJournal, name, broken)

    with pytest.raises(OrderOutcomeUnknown, match=first["id"]):
        await without_edits.edit_order(first["id"], "BTC/MXN", "limit", "buy", None, 570000)

    assert sim.bitso.requests[PLACE] == 1


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ({"status": "partially filled", "filled_quantity": "0.004"}, None),
        ({}, ("fill_first", "cancel")),
        ({"status": "completed"}, None),
        ({"status": "cancelled"}, None),
        ({}, ("error_5xx", "cancel")),
    ],
)
async def test_nothing_is_placed_for_an_order_that_filled_or_may_be_live(
    sim: Simulator, without_edits: Any, about: dict[str, Any], fault: tuple[str, str] | None
) -> None:
    """In whole or in part, before the cancel or by it, or the cancel is not known to have worked: it is an error."""
    import ccxt

    oid = put(sim, **about)
    if fault is not None:
        sim.bitso.fault(fault[0], operation=fault[1])

    with pytest.raises(ccxt.BaseError) as caught:
        await without_edits.edit_order(oid, "BTC/MXN", "limit", "buy", 0.02, 570000)

    assert isinstance(caught.value, ccxt.NetworkError if fault == ("error_5xx", "cancel") else ccxt.InvalidOrder)
    assert [order.oid for order in sim.bitso.accepted()] == [oid]


async def test_a_market_that_is_listed_later_is_traded(
    sim: Simulator, exchange_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown symbol is BadSymbol only after the markets were loaded anew, which happens once a minute at most."""
    import ccxt

    listed = sim.bitso.engine.instruments.pop("eth_mxn")
    exchange = exchange_of()
    for _ in range(2):
        with pytest.raises(ccxt.BadSymbol):
            await exchange.create_order("ETH/MXN", "limit", "buy", 0.1, 30000)
    sim.bitso.engine.instruments["eth_mxn"] = listed
    monkeypatch.setattr("orderbridge.ccxt.orders._ANEW_SECONDS", 0.0)

    row = await exchange.create_order("ETH/MXN", "limit", "buy", 0.1, 30000)

    assert (row["symbol"], row["status"]) == ("ETH/MXN", "open")
    assert sim.bitso.requests["GET /api/v3/available_books"] == 3
