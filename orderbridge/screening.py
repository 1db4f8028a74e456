"""
A request held against what a gateway takes, before anything is sent; against its answer; and against any order shown.

What a gateway does not declare is refused here, and never bent into something near. An order is what was asked for
where nothing of what both sides say differs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Final

from orderbridge.errors import NotSupported, OrderDenied
from orderbridge.gateway import Capabilities
from orderbridge.model.basics import KnownBy, OrderType, TimeInForce, plain
from orderbridge.model.lifecycle import by_numbers
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest

# Two clocks are compared; a venue's may be so far behind ours.
SKEW: Final = timedelta(seconds=30)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# An order's options reach the exchange under their own names, over what is put there otherwise. So none of them may say
# what the request says, by ccxt's name or by an exchange's; nor ask for another act than one spot order, placed once.
_FIELDS_OF_REQUESTS: Final = _words(
    "symbol market pair instid instrument product productid side direction buysell price px limitprice rate "
    "quantity qty amount size sz volume basesize quotesize cost notional funds quoteorderqty quoteqty quoteamount "
    "clientorderid clientoid clientid clordid newclientorderid orderlinkid clientorderlinkid externaloid originid "
    "customid identifier userref cloid text algoclordid ordertype ordtype timeinforce tif force postonly po expiretime "
    "trigger triggerprice triggerpx stop stopprice stoplossprice takeprofitprice slippage slippagetolerance "
    "stopdirection triggerdirection operator tgtccy marketunit qtytype "
    "book major minor createmarketbuyorderrequiresprice"
)
_OTHER_ACTS: Final = _words(
    "leverage lever reduceonly closeposition closeonfill positionside posside positionidx positionid hedged hedgemode "
    "margin marginmode ismargin isisolated sideeffecttype crossmargin isolated borrow autoborrow autorepay "
    "stoploss takeprofit tpsl attachalgoords takeprofitpx stoplosspx slprice tpprice oco trailing trailingamount "
    "trailingpercent trailingdelta iceberg test validate maxretriesonfailure builder builderfee referrer"
)
# What tells one kind of market from another, and the values that mean spot.
_ACCOUNTS: Final = _words("type category defaulttype accounttype account tdmode producttype wallet markettype")
_SPOT: Final = _words("spot cash exchange trade")


def refuse_undeclared(request: OrderRequest, capabilities: Capabilities, *, gateway: str) -> None:
    """
    Hold a request against the capabilities.

    Raises:
        NotSupported: it asks for what the venue does not offer. OrderDenied: its client id is not one for here.
    """

    def refuse(what: str, instead: str = "") -> NotSupported:
        text = f"{gateway} takes no {what}" + (f"; {instead}" if instead else "")
        return NotSupported(text)

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
    if request.options:
        known = capabilities.options
        odd = sorted(name for name, value in request.options.items() if name not in known or not isinstance(value, str))
        if odd and not capabilities.any_options:
            raise refuse(f"options {', '.join(odd)}", f"known are, as texts: {_listed(known) or 'none'}")
        for name, value in ((name, request.options[name]) for name in odd):
            folded = name.replace("_", "").replace("-", "").lower()
            if folded in _FIELDS_OF_REQUESTS:
                raise refuse(f"option {name}", "the request has a field for it")
            if folded in _OTHER_ACTS or (folded in _ACCOUNTS and str(value).lower() not in _SPOT):
                raise refuse(f"option {name}={value!r:.40}", "it places plain spot orders")
    _check_client_id(request.client_order_id, capabilities, gateway=gateway)


_in_base: Final = attrgetter("quantity", "price", "stop_price")


def as_asked(order: Order, asked: OrderRequest | Order) -> tuple[Order, list[str]]:
    """
    A new order with the size and prices that were asked for, and where its answer says otherwise.

    Of one that was sized in quote the base size is the venue's arithmetic, which counts once the order is over.
    """
    if asked.quote_quantity is None and _in_base(asked) == _in_base(order):
        return order, []
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
    return order.model_copy(update=changes) if changes else order, doubts


def differences(sent: Mapping[str, object], stated: Mapping[str, object]) -> dict[str, str]:
    """By name, where an answer states something else than was sent; what it does not state contradicts nothing."""
    return {
        name: f"{name} was sent as {_text(sent[name])}, and the answer says {_text(said)}"
        for name, said in stated.items()
        if said is not None and sent.get(name) is not None and said != sent[name]
    }


def fingerprint(request: OrderRequest, *, gateway: str, mode: str | None, address: str | None = None) -> str:
    """A text that is the same for the same order at the same place, however its amounts were written."""
    told = {name: value for name, value in request.__dict__.items() if value is not None and name != "client_order_id"}
    told |= {"gateway": gateway, "mode": mode, "address": address, "options": dict(request.options)}
    return hashlib.sha256(_sorted(told).encode()).hexdigest()


def _in_one_way(value: Decimal | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else plain(value.normalize())


_sorted: Final = json.JSONEncoder(sort_keys=True, default=_in_one_way).encode


def disagreements(request: OrderRequest, order: Order, *, since: datetime | None) -> list[str]:
    """
    In what an order is not what was asked for; empty when it may be it.

    Only what both sides say is compared: an order rebuilt from its trades has no price and no size.

    Args:
        since: when the placement was made; an order that the venue made before is another one.
    """
    # The base size of an order sized in quote is the venue's arithmetic.
    size = "quantity" if request.quote_quantity is None else "quote_quantity"
    kind = () if order.type is OrderType.UNKNOWN else ("type",)
    names = ("symbol", "side", size, "price", "stop_price", *kind)
    pairs = [(name, getattr(request, name), getattr(order, name)) for name in names]
    found = [
        f"{name}: asked for {asked}, shown {shown}"
        for name, asked, shown in pairs
        if asked is not None and shown is not None and asked != shown
    ]
    if since is not None and order.created_at is not None and order.created_at < since - SKEW:
        found.append(f"created_at: {order.created_at}, before the placement of {since}")
    return found


def completed(order: Order, request: OrderRequest) -> Order:
    """An order that was rebuilt from its trades, with what was asked for: by that its fills are the whole or a part."""
    if order.known_by is not KnownBy.INFERRED or order.type is not OrderType.UNKNOWN:
        return order
    asked: dict[str, object] = {
        name: getattr(request, name)
        for name in ("quantity", "quote_quantity", "price", "stop_price", "expires_at")
        if getattr(order, name) is None
    }
    return by_numbers(order.model_copy(update={"type": request.type, **asked}))


def _text(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else f"{value!s:.60}"


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))


@lru_cache
def _form(alphabet: str, longest: int) -> re.Pattern[str]:
    return re.compile(f"[{alphabet}]{{1,{longest}}}")


def _check_client_id(client_order_id: str | None, capabilities: Capabilities, *, gateway: str) -> None:
    if client_order_id is None:
        return
    rule = capabilities.client_order_id
    if rule is None:
        raise NotSupported(f"{gateway} takes no client order id")
    if not _form(rule.alphabet, rule.max_length).fullmatch(client_order_id):
        raise OrderDenied(
            f"client_order_id {client_order_id!r} is not 1 to {rule.max_length} characters of {rule.alphabet}",
            rule="client_order_id",
        )
