"""
A request held against what a gateway takes, before anything is sent, and against what was answered to it.

What a gateway does not declare is refused here, and never bent into something near.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from orderbridge.errors import NotSupported, OrderDenied
from orderbridge.gateway import Capabilities
from orderbridge.model.basics import TimeInForce, plain
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest


def refuse_undeclared(request: OrderRequest, capabilities: Capabilities, *, gateway: str) -> None:
    """
    Hold a request against the capabilities.

    Raises:
        NotSupported: it asks for what the venue does not offer. OrderDenied: its client id is not one for here.
    """

    def refuse(what: str, instead: str = "") -> NotSupported:
        text = f"{gateway} takes no {what}" + (f"; {instead}" if instead else "")
        return NotSupported(text, gateway=gateway, operation="submit")

    if request.type not in capabilities.order_types:
        raise refuse(f"{request.type} orders", "it takes " + _listed(capabilities.order_types))
    if request.time_in_force not in capabilities.times_in_force:
        raise refuse(f"time in force {request.time_in_force}", "it takes " + _listed(capabilities.times_in_force))
    if request.time_in_force is not TimeInForce.GTC and request.price is None and not capabilities.market_lifetimes:
        raise refuse(f"time in force {request.time_in_force} without a price", "leave it out for orders at market")
    if request.quote_quantity is not None and not capabilities.quote_sizing:
        raise refuse("orders sized in quote", "give quantity in base")
    if request.post_only and not capabilities.post_only:
        raise refuse("post_only")
    if request.reduce_only and not capabilities.reduce_only:
        raise refuse("reduce_only")
    if request.slippage_tolerance is not None and not capabilities.slippage_tolerance:
        raise refuse("slippage_tolerance", "use a limit order")
    known = {name for name, value in request.options.items() if name in capabilities.options and isinstance(value, str)}
    odd = sorted(set(request.options) - known)
    if odd and not capabilities.any_options:
        raise refuse(f"options {', '.join(odd)}", f"known are, as texts: {_listed(capabilities.options) or 'none'}")
    _check_client_id(request.client_order_id, capabilities, gateway=gateway)


def as_asked(order: Order, asked: OrderRequest | Order) -> tuple[Order, list[str]]:
    """
    A new order with the size and prices that were asked for, and where its answer says otherwise.

    Of one that was sized in quote the base size is the venue's arithmetic, which counts once the order is over.
    """
    figures = ("quantity" if asked.quote_quantity is None else "quote_quantity", "price", "stop_price")
    sent = {name: getattr(asked, name) for name in figures}
    stated = {name: getattr(order, name) for name in figures}
    doubts = list(differences(sent, stated).values())
    doubts += [
        f"{name} was not sent, and the answer says {plain(stated[name])}"
        for name in figures
        if sent[name] is None and stated[name] is not None
    ]
    changes = {name: sent[name] for name in figures if stated[name] != sent[name]}
    if asked.quote_quantity is not None and not order.is_done:
        changes["quantity"] = None
    return order.model_copy(update=changes), doubts


def differences(sent: Mapping[str, object], stated: Mapping[str, object]) -> dict[str, str]:
    """By name, where an answer states something else than was sent; what it does not state contradicts nothing."""
    return {
        name: f"{name} was sent as {_text(sent[name])}, and the answer says {_text(said)}"
        for name, said in stated.items()
        if said is not None and sent.get(name) is not None and said != sent[name]
    }


def _text(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else f"{value!s:.60}"


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))


def _check_client_id(client_order_id: str | None, capabilities: Capabilities, *, gateway: str) -> None:
    if client_order_id is None:
        return
    rule = capabilities.client_order_id
    if rule is None:
        raise NotSupported(f"{gateway} takes no client order id", gateway=gateway, operation="submit")
    if not re.fullmatch(f"[{rule.alphabet}]{{1,{rule.max_length}}}", client_order_id):
        raise OrderDenied(
            f"client_order_id {client_order_id!r} is not 1 to {rule.max_length} characters of {rule.alphabet}",
            rule="client_order_id",
            gateway=gateway,
            operation="submit",
        )
