"""What a gateway remembers of its orders."""

from typing import Any

from orderbridge.model.order import Order
from orderbridge.venue.memory import OrderMemory


def order(order_id: str, **changes: Any) -> Order:
    return Order(**{"venue": "v", "order_id": order_id, "symbol": "BTC/MXN", "side": "buy", **changes})


def test_only_so_many_orders_are_known() -> None:
    """The memory is bounded: what was shown longest ago is forgotten, under its client id too."""
    memory = OrderMemory(most=3)
    orders = [order(f"o{n}", client_order_id=f"c{n}") for n in range(5)]

    for each in orders:
        memory.take(each)

    assert [each.order_id for each in memory] == ["o2", "o3", "o4"]
    assert (memory.get("o0"), memory.of_client("c0"), memory.of_client("c4")) == (None, [], [orders[4]])


def test_orders_of_one_number_in_several_markets_are_kept_apart() -> None:
    """Each is known by its symbol; where ids are unique the last one shown is the order."""
    memory = OrderMemory()
    btc, eth = (order("7", symbol=f"{base}/USDT", numbered_by_market=True) for base in ("BTC", "ETH"))
    for each in (btc, eth, btc):
        memory.put(each)

    assert set(memory.orders("7")) == {btc, eth}
    assert memory.orders("7", eth.symbol) == (eth,)
    assert memory.get("7") is btc

    memory.put(order("8", symbol="BTC/USDT"))
    memory.put(order("8", symbol="ETH/USDT"))
    assert [each.symbol for each in memory.orders("8")] == ["ETH/USDT"]


def test_a_client_id_means_the_order_that_was_sent_last() -> None:
    """Each under it is ours; while a new one is on its way none is meant, and its symbol is known already."""
    memory = OrderMemory()
    for id in ("1", "2"):
        memory.created(order(id, client_order_id="mine"))

    assert (memory.id_of("mine"), memory.created_under("mine")) == ("2", ("1", "2"))
    assert memory.is_created("1")

    new = order("3", symbol="ETH/MXN")
    memory.sending("mine", new.symbol)
    assert (memory.id_of("mine"), memory.symbols_of("mine")) == (None, ("ETH/MXN",))


def test_what_rows_do_not_tell_is_told_beside_them() -> None:
    """The mode of what was created here, and which order a retry made of which."""
    memory = OrderMemory(paper=True)
    memory.created(order("1", client_order_id="mine"))
    memory.retried("1", "2", is_ours=True)

    old, new, other = (memory.told(order(id)) for id in "123")

    assert (old.paper, old.replaced_by, new.paper, new.replaces, other.paper) == (True, "2", True, "1", None)
    assert memory.created_under("mine") == ("1", "2")


def test_the_first_cancel_of_an_order_is_told_from_the_next() -> None:
    """A cancel that was not carried out is none."""
    memory = OrderMemory()

    assert (memory.cancelling("1"), memory.cancelling("1"), "1" in memory.cancel_sent) == (True, False, True)
    memory.not_cancelling("1")
    assert "1" not in memory.cancel_sent
