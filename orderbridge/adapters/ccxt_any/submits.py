"""Placing orders: held against what the exchange takes, then sent once."""

from __future__ import annotations

from collections.abc import Callable

from orderbridge.adapters.ccxt_any.client import Answered, CcxtClient
from orderbridge.adapters.ccxt_any.markets import CcxtMarkets
from orderbridge.adapters.ccxt_any.memory import Memory
from orderbridge.adapters.ccxt_any.outgoing import contradictions, creation, order_from_answer, refuse_side
from orderbridge.adapters.ccxt_any.reads import CcxtReads
from orderbridge.adapters.ccxt_any.traits import Traits
from orderbridge.errors import OutcomeUnknown
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.request import OrderRequest
from orderbridge.screening import before_sending, refuse_undeclared


class CcxtSubmits:
    """The submits of one account."""

    def __init__(
        self,
        client: CcxtClient,
        reads: CcxtReads,
        markets: CcxtMarkets,
        *,
        traits: Traits,
        memory: Memory,
        mint: Callable[[int], str],
    ) -> None:
        self._client = client
        self._reads = reads
        self._markets = markets
        self._traits = traits
        self._capabilities = traits.capabilities
        self._memory = memory
        self._mint = mint

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, deadline: Deadline
    ) -> Order:
        """Send an order once; see `CcxtGateway.submit`."""
        gateway = self._client.gateway
        with before_sending(gateway, "submit"):
            refuse_undeclared(request, self._capabilities, gateway=gateway)
            refuse_side(request, self._traits, gateway=gateway)
            markets = await self._markets.ready(deadline=deadline, operation="submit")
            market = self._markets.one(request.symbol, markets, operation="submit")
            self._markets.hold(request, market)
            rule = self._traits.client_ids
            client_order_id = (request.client_order_id or self._mint(rule.rule.max_length)) if rule else None
            ids = {rule.sent_as: client_order_id} if rule and client_order_id else {}
            self._memory.sent(client_order_id, request.symbol)
            make = creation(request, symbol=self._markets.spelled(request.symbol) or "", ids=ids)
        done = await self._client.write(
            make,
            permit=permit,
            not_after=not_after,
            deadline=deadline,
            operation="submit",
            client_order_id=client_order_id,
        )
        return self._read(done, request, client_order_id)

    def _read(self, done: Answered, request: OrderRequest, client_order_id: str | None) -> Order:
        answer = done.value
        order_id = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(order_id, str) or not order_id.strip():
            raise self._unclear("the order was sent, and the answer names no order id", client_order_id)
        if not all(sent.status is not None and sent.status < 300 for sent in done.call.writes):
            raise self._unclear("the order was sent, and the answer is no good one", client_order_id, order_id)
        order = order_from_answer(
            answer,
            request,
            order_id=order_id,
            client_order_id=client_order_id,
            venue=self._reads.venue,
            account=self._reads.account,
            observed_at=self._reads.now(),
            step=self._markets.step(request.symbol),
            numbered_by_market=self._traits.numbers_by_market,
        )
        wrong = contradictions(answer, order, request, client_order_id=client_order_id)
        if wrong:
            raise self._unclear(
                f"the order was sent, and the answer is about another one: {'; '.join(wrong)}",
                client_order_id,
                order_id,
            )
        self._memory.placed(order)
        return order

    def _unclear(self, text: str, client_order_id: str | None, order_id: str | None = None) -> OutcomeUnknown:
        return OutcomeUnknown(
            text,
            order_id=order_id,
            client_order_id=client_order_id,
            gateway=self._client.gateway,
            operation="submit",
        )
