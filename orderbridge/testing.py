"""
The contract of every gateway, as cards that pytest runs over a stand-in of a venue: for adapters of one's own.

    class TestNorte(GatewayContract):
        @pytest.fixture
        def venue(self) -> StandIn:
            return Norte()

A card that the gateway's capabilities exclude, or that the stand-in cannot play, is skipped with that reason. With
`pytest.register_assert_rewrite("orderbridge.testing")` in conftest.py a card that fails says what it saw.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn, Protocol

import pytest

from orderbridge import errors
from orderbridge.gateway import OrderGateway
from orderbridge.http import limits
from orderbridge.http.limits import Rate
from orderbridge.model.basics import EditClass, Idempotency, OrderStatus
from orderbridge.model.order import Fill, Order
from orderbridge.model.request import OrderEdit, OrderRequest


class Accepted(Protocol):
    """An order that a stand-in has on its books."""

    order_id: str
    active: bool


class StandIn(ABC):
    """
    A venue as the contract needs it, with a gateway to it. What it cannot play, a card is skipped for.

    Attributes:
        symbol, price: of a limit order that rests on its book when it buys 0.01. off_tick: a price that its rules
            refuse, and `nearest` the two that they allow; empty without rules.
        too_much: size and price of an order that the account cannot pay ten times over, within the market's bounds.
        bad: settings of a gateway whose credentials are refused. unknown: the ref of an order that nobody issued.
        looks: what a cancel and the look at what came of it send: one, and then one or, side by side, two.
        is_journalled: gateways are used through a bridge, which sends no client id twice.
    """

    symbol: str
    price: str
    off_tick: str
    nearest: tuple[Decimal, ...] = ()
    too_much: Mapping[str, str]
    bad: Mapping[str, Any]
    unknown: str
    looks: int = 1
    is_journalled: bool = False

    @abstractmethod
    def gateway(self, **settings: Any) -> Any:
        """A gateway to this stand-in, which is entered and left by the card."""

    @abstractmethod
    def accepted(self, client_order_id: str | None = None) -> Sequence[Accepted]:
        """The orders that it took, of one client id or all."""

    @abstractmethod
    def requests(self) -> Mapping[str, int]:
        """How many requests of each kind have come so far; one kind each for placing (`place`) and listing (`list`)."""

    def fill(self, order_id: str, quantity: str | None = None) -> None:
        """Let an order trade, wholly or in part."""
        self.cannot("fill an order")

    def funds(self) -> Any:
        """Its books of the account's money, as they are now."""
        self.cannot("tell its books")

    def throttle(self) -> None:
        """Refuse the next new order for too many requests."""
        self.cannot("throttle")

    def lose_answer(self) -> None:
        """Take the next new order, and drop the connection in place of an answer."""
        self.cannot("lose an answer")

    def hold_lists(self) -> None:
        """Leave every list of open orders from now on without an answer."""
        self.cannot("hold an answer back")

    def cannot(self, what: str) -> NoReturn:
        """Skip the card: this is not played."""
        pytest.skip(f"{type(self).__name__} cannot {what}")

    def buy(self, **changes: Any) -> OrderRequest:
        """A limit order that rests on the book."""
        plain = {"symbol": self.symbol, "side": "buy", "type": "limit", "quantity": "0.01", "price": self.price}
        return OrderRequest(**{**plain, **changes})


def own_id(gateway: OrderGateway, client_order_id: str) -> dict[str, str]:
    """A client id for a request, where the gateway declares that it takes them."""
    return {"client_order_id": client_order_id} if gateway.capabilities.client_order_id else {}


def holds_up(told: Any) -> Any:
    """What a call gave, of which each order or fill must be as validation leaves it: adapters make them on trust."""
    for each in [told] if isinstance(told, (Order, Fill)) else getattr(told, "orders", told):
        again = type(each).model_validate(dict(each))
        assert (again, again.raw) == (each, each.raw)
        assert {name: type(value) for name, value in again} == {name: type(value) for name, value in each}
    return told


def _held(call: Callable[..., Any]) -> Callable[..., Any]:
    async def checked(*args: Any, **options: Any) -> Any:
        return holds_up(await call(*args, **options))

    return checked


@pytest.mark.asyncio
class GatewayContract:
    """The cards. Subclass it, and give the fixture `venue`, a `StandIn`. Whatever the calls give must `holds_up`."""

    @pytest.fixture(autouse=True)
    def _every_order_holds_up(self, venue: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hold every order that a gateway gives out against validation."""

        def held(make: Callable[..., Any] = venue.gateway, **settings: Any) -> Any:
            gateway = make(**settings)
            calls = {"submit": gateway.submit, "lookup": gateway.lookup, "get": gateway.get, "edit": gateway.edit}
            calls |= {"cancel": gateway.cancel, "cancel_all": gateway.cancel_all, "open_orders": gateway.open_orders}
            for name, call in calls.items():
                monkeypatch.setattr(gateway, name, _held(call))
            return gateway

        monkeypatch.setattr(venue, "gateway", held)

    @pytest.fixture(autouse=True)
    def _limits_of_its_own(self) -> None:
        """A lock-out and the pace are shared by all gateways of a key; each card begins with none."""
        limits.forget_shared()

    async def test_submit_and_see_it(self, venue: StandIn) -> None:
        """An order that was submitted is found by its id, by its client id, and among the open ones."""
        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy(**own_id(gateway, "contract-1")))
            by_id = await gateway.get(placed)
            by_client = await gateway.lookup(f"{gateway.name}:client:contract-1")
            opened = await gateway.open_orders()

        assert placed.status in {OrderStatus.ACCEPTED, OrderStatus.OPEN}
        assert (by_id.status, by_id.filled_quantity, by_id.quantity) == (OrderStatus.OPEN, Decimal(0), Decimal("0.01"))
        assert (by_id.price, by_id.symbol, by_id.side) == (Decimal(venue.price), venue.symbol, "buy")
        assert [order.order_id for order in opened] == [placed.order_id]
        if gateway.capabilities.client_order_id is None:
            assert [found.answers for found in by_client.found] == [{gateway.name: "cannot_ask"}]
        else:
            assert [order.order_id for order in by_client.orders] == [placed.order_id]
            assert by_id.client_order_id == "contract-1"

    async def test_client_id_is_made_where_none_is_given(self, venue: StandIn) -> None:
        """Every order carries a client id, ours unless one is given; where there are none, a given one is refused."""
        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy())
            if gateway.capabilities.client_order_id is None:
                with pytest.raises(errors.NotSupported):
                    await gateway.submit(venue.buy(client_order_id="mine"))

        if gateway.capabilities.client_order_id is None:
            assert placed.client_order_id is None
            (accepted,) = venue.accepted()
        else:
            assert placed.client_order_id
            (accepted,) = venue.accepted(placed.client_order_id)
        assert accepted.order_id == placed.order_id

    async def test_partial_fill_then_fill(self, venue: StandIn) -> None:
        """Fills are seen as they come, and the end with the last of them."""
        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy())
            venue.fill(placed.order_id, "0.004")
            part = await gateway.get(placed)
            venue.fill(placed.order_id)
            whole = await gateway.get(placed)

        assert (part.status, part.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.004"))
        assert (whole.status, whole.filled_quantity) == (OrderStatus.FILLED, Decimal("0.01"))
        assert whole.is_done

    async def test_edit_in_place(self, venue: StandIn) -> None:
        """A change keeps the id; quantity is the new total. Where no edit is declared, none is faked."""
        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy())
            if gateway.capabilities.edit is EditClass.NONE:
                with pytest.raises(errors.NotSupported):
                    await gateway.edit(placed, OrderEdit(quantity="0.02", price=venue.price))
                assert [order.order_id for order in await gateway.open_orders()] == [placed.order_id]
                return
            edited = await gateway.edit(placed, OrderEdit(quantity="0.02", price=venue.price))

        assert gateway.capabilities.edit is EditClass.IN_PLACE
        assert (edited.order_id, edited.quantity) == (placed.order_id, Decimal("0.02"))

    async def test_cancel_leaves_the_balances_as_they_were(self, venue: StandIn) -> None:
        """A limit order placed and cancelled costs nothing, by the venue's own books."""
        before = venue.funds()

        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy())
            locked = venue.funds()
            order = await gateway.cancel(placed)

        assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal(0))
        assert locked != before
        assert venue.funds() == before

    async def test_cancel_keeps_the_fills(self, venue: StandIn) -> None:
        """An order that is cancelled after a part was filled says how much."""
        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy())
            venue.fill(placed.order_id, "0.004")
            order = await gateway.cancel(placed)

        assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.004"))

    @pytest.mark.parametrize(
        ("limits", "held"),
        [(Rate(60, 1e-6), 50), (None, 80)],
        ids=["no slot in the lanes", "no connection in the pool"],
    )
    async def test_a_cancel_behind_a_hundred_reads_takes_two_exchanges(
        self, venue: StandIn, limits: Rate | None, held: int
    ) -> None:
        """The cancel and the look at what came of it wait for none of the reads that came before them."""
        async with venue.gateway(limits=limits) as gateway:
            placed = await gateway.submit(venue.buy())
            venue.hold_lists()
            reads = [asyncio.create_task(gateway.open_orders()) for _ in range(100)]
            async with asyncio.timeout(20):
                while venue.requests()["list"] < held:  # noqa: ASYNC110 - the server counts, and tells nobody
                    await asyncio.sleep(0)
            before = Counter(venue.requests())
            order = await gateway.cancel(placed, timeout=10)
            sent = Counter(venue.requests()) - before
            waiting = [not read.done() for read in reads]
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)

        assert order.status is OrderStatus.CANCELLED
        assert all(waiting)
        assert 1 <= sum(count for what, count in sent.items() if what != "list") <= 1 + venue.looks

    async def test_cancel_too_late(self, venue: StandIn) -> None:
        """An order that turned out filled is returned filled; an edit says that it is not active."""
        async with venue.gateway() as gateway:
            placed = await gateway.submit(venue.buy())
            venue.fill(placed.order_id)
            order = await gateway.cancel(placed)
            if gateway.capabilities.edit is not EditClass.NONE:
                with pytest.raises(errors.OrderNotActive) as late:
                    await gateway.edit(placed, OrderEdit(quantity="0.02", price=venue.price))
                assert late.value.order is not None

        assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, Decimal("0.01"))

    async def test_cancel_all(self, venue: StandIn) -> None:
        """Every open order of the account ends."""
        async with venue.gateway() as gateway:
            placed = {(await gateway.submit(venue.buy())).order_id for _ in range(3)}
            orders = await gateway.cancel_all()
            left = await gateway.open_orders()

        assert {order.order_id for order in orders} == placed
        assert all(order.status is OrderStatus.CANCELLED for order in orders)
        assert list(left) == []

    async def test_unknown_id(self, venue: StandIn) -> None:
        """An id that nobody issued is not found, and nothing is changed for it."""
        async with venue.gateway() as gateway:
            with pytest.raises(errors.OrderNotFound):
                await gateway.get(venue.unknown)
            with pytest.raises(errors.OrderNotFound):
                await gateway.cancel(venue.unknown)

    async def test_duplicate_client_id(self, venue: StandIn) -> None:
        """
        Where the venue promises unique ids a second order is refused as a duplicate; else the capabilities say so.

        A bridge sends no id twice that its journal has, whatever the venue promises.
        """
        expected = 1
        async with venue.gateway() as gateway:
            if gateway.capabilities.client_order_id is None:
                assert gateway.capabilities.idempotency is Idempotency.NONE
                pytest.skip(f"{gateway.name} takes no client order ids")
            await gateway.submit(venue.buy(client_order_id="twice"))
            if venue.is_journalled:
                with pytest.raises(errors.OrderDenied) as denied:
                    await gateway.submit(venue.buy(client_order_id="twice"))
                assert denied.value.rule == "client_order_id"
            elif gateway.capabilities.idempotency is Idempotency.TAG_ONLY:
                await gateway.submit(venue.buy(client_order_id="twice"))
                expected = 2
            else:
                with pytest.raises(errors.DuplicateClientOrderId):
                    await gateway.submit(venue.buy(client_order_id="twice"))

        assert len(venue.accepted("twice")) == expected

    async def test_insufficient_funds(self, venue: StandIn) -> None:
        """A lack of funds is a rejection, told apart where the capabilities say so; it leaves nothing on the book."""
        orders = [venue.buy(**venue.too_much) for _ in range(10)]
        refused = None

        async with venue.gateway() as gateway:
            for order in orders:
                try:
                    await gateway.submit(order)
                except errors.OrderRejected as error:
                    refused = error
                    break
            opened = await gateway.open_orders()

        assert refused is not None
        assert isinstance(refused, errors.InsufficientFunds) or not gateway.capabilities.funds_refusal_is_distinct
        assert len(opened) == len([order for order in venue.accepted() if order.active])

    async def test_price_off_the_tick(self, venue: StandIn) -> None:
        """Where the rules are known it is refused before sending; elsewhere it goes out as it is, never bent."""
        async with venue.gateway() as gateway:
            if gateway.capabilities.markets:
                with pytest.raises(errors.OrderDenied) as denied:
                    await gateway.submit(venue.buy(price=venue.off_tick))
                assert denied.value.nearest == venue.nearest
                assert venue.requests()["place"] == 0
            else:
                placed = await gateway.submit(venue.buy(price=venue.off_tick))
                assert (await gateway.get(placed)).price == Decimal(venue.off_tick)

    async def test_throttled(self, venue: StandIn) -> None:
        """A throttled submit is unknown, with RateLimited behind it; it is not sent again."""
        venue.throttle()

        async with venue.gateway() as gateway:
            with pytest.raises(errors.OutcomeUnknown) as unknown:
                await gateway.submit(venue.buy(**own_id(gateway, "busy")))

        assert isinstance(unknown.value.__cause__, errors.RateLimited)
        assert unknown.value.client_order_id == own_id(gateway, "busy").get("client_order_id")
        assert venue.requests()["place"] == 1

    async def test_bad_credentials(self, venue: StandIn) -> None:
        """Refused credentials are told as such, and nothing is on the book."""
        async with venue.gateway(**venue.bad) as gateway:
            with pytest.raises(errors.AuthenticationFailed):
                await gateway.submit(venue.buy())
            with pytest.raises(errors.AuthenticationFailed):
                await gateway.open_orders()

        assert venue.accepted() == []

    async def test_lost_answer(self, venue: StandIn) -> None:
        """A connection that drops after the venue accepted is no rejection, and nothing is sent twice."""
        venue.lose_answer()

        async with venue.gateway() as gateway:
            with pytest.raises(errors.OutcomeUnknown):
                await gateway.submit(venue.buy(**own_id(gateway, "lost")))
            if gateway.capabilities.client_order_id is None:
                (found,) = await gateway.open_orders()
            else:
                (found,) = (await gateway.lookup(f"{gateway.name}:client:lost")).orders

        assert found.status is OrderStatus.OPEN
        assert venue.requests()["place"] == 1

    async def test_what_is_not_declared_is_refused_before_sending(self, venue: StandIn) -> None:
        """The capabilities are the truth: what they lack is NotSupported, and nothing is sent."""
        async with venue.gateway() as gateway:
            capabilities = gateway.capabilities
            if not capabilities.any_options:
                with pytest.raises(errors.NotSupported):
                    await gateway.submit(venue.buy(options={"no_such_option": "1"}))
            if not capabilities.fills:
                with pytest.raises(errors.NotSupported):
                    gateway.fills()
            if not capabilities.history:
                with pytest.raises(errors.NotSupported):
                    gateway.orders(since=datetime.now(UTC))

        assert sum(venue.requests().values()) == 0
        assert isinstance(gateway, OrderGateway)
        assert gateway.address.startswith("http")
        assert gateway.mode in {"live", "paper", "sandbox"}
