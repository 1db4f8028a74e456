"""Calls of ccxt's that fail as a test says, after the requests that it says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orderbridge.adapters.ccxt_any.client import CcxtCall, CcxtClient
from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.venue import CcxtSends
from orderbridge.adapters.ccxt_any.watch import Sent, current_call
from orderbridge.errors import OrderBridgeError
from orderbridge.http.limits import Limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session


async def error_of(
    error: BaseException, *sent: Sent, codes: CcxtCodes, call: str = "submit", client_order_id: str | None = None
) -> OrderBridgeError:
    """What a caller gets for a submit, or for a cancel, that failed so."""

    async def fail(exchange: Any) -> None:
        made = current_call.get()
        assert made is not None
        made.sent.extend(sent)
        raise error

    session = Session(
        gateway="ccxt.test",
        venue="ccxt.test",
        transport=CcxtSends(),
        limiter=Limiter(None),
        retries=Retries(tries=1),
    )
    watch: Any = SimpleNamespace(exchange=SimpleNamespace(id="test"), is_intact=True)
    client = CcxtClient(watch, session=session, codes=codes)
    made = CcxtCall(operation=call, make=fail, client_order_id=client_order_id)
    try:
        if call == "submit":
            await client.sender.write(made, deadline=Deadline(None))
        else:
            await client.sender.in_lane("cancel").read(made, deadline=Deadline(None))
    except OrderBridgeError as raised:
        return raised
    raise AssertionError("it did not fail")
