"""Every order and fill, found by id, by client id or in order of arrival."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from orderbridge.simulator.engine.order import Fill, Order


class Ledger:
    """The engine's records. Nothing is ever forgotten; what a venue shows of it is the venue's affair."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.active: dict[str, Order] = {}
        self.fills: defaultdict[str, list[Fill]] = defaultdict(list)
        self._by_client: defaultdict[tuple[str, str], list[Order]] = defaultdict(list)
        self._by_account: defaultdict[str, list[Order]] = defaultdict(list)
        self._active_count: Counter[str] = Counter()

    def add(self, order: Order) -> None:
        """Record a new order."""
        if order.order_id in self.orders:
            raise ValueError(f"an order {order.order_id!r} exists already")
        self.orders[order.order_id] = order
        self._by_account[order.account].append(order)
        if order.client_order_id is not None:
            self._by_client[order.account, order.client_order_id].append(order)
        if order.active:
            self.revived(order)

    def of_client(self, account: str, client_order_id: str) -> list[Order]:
        """The account's orders with this client id, oldest first."""
        return self._by_client.get((account, client_order_id), [])

    def of_account(self, account: str) -> list[Order]:
        """The account's orders, in order of arrival."""
        return self._by_account.get(account, [])

    def count_active(self, account: str) -> int:
        """How many orders of the account may still trade."""
        return self._active_count[account]

    def ended(self, order: Order) -> None:
        """The order may trade no longer."""
        if self.active.pop(order.order_id, None) is not None:
            self._active_count[order.account] -= 1

    def revived(self, order: Order) -> None:
        """The order may trade again."""
        if order.order_id not in self.active:
            self._active_count[order.account] += 1
        self.active[order.order_id] = order

    def newest_active(self, account: str) -> Iterator[Order]:
        """The account's orders that may still trade, newest first."""
        return (order for order in reversed(self.active.values()) if order.account == account)

    def select(self, account: str, *, client_order_id: str | None, order_id: str | None) -> list[Order]:
        """The account's orders of one id or another, in order of arrival; all of them, if no id is given."""
        if order_id is not None:
            order = self.orders.get(order_id)
            found = [order] if order is not None and order.account == account else []
        elif client_order_id is not None:
            return list(self.of_client(account, client_order_id))
        else:
            return list(self.of_account(account))
        return [each for each in found if client_order_id in (None, each.client_order_id)]
