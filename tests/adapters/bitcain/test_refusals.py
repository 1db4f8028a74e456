"""The tables of refusals, row by row, and whatever is in none of them."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.adapters.bitcain.codes import CANCEL, CODES, EDIT, RETRY, SUBMIT
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.venue.meanings import READ_ERRORS, WRITE_ERRORS

REQUEST = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.5", price="60000", client_order_id="bot-1")
FAULTS = [
    {"loc": ["body", "quantity"], "msg": "Input should be a valid decimal", "type": "decimal_parsing", "input": "x"},
    {"loc": ["body", "side"], "msg": "Bad side", "type": "enum", "ctx": {"expected": "'buy' or 'sell'"}},
]
ROWS = [
    (SUBMIT, 400, errors.OrderRejected),
    (SUBMIT, 402, errors.InsufficientFunds),
    (SUBMIT, 403, errors.OrderRejected),
    (SUBMIT, 404, errors.OrderRejected),
    (SUBMIT, 422, errors.InvalidOrder),
    (EDIT, 400, errors.InvalidOrder),
    (EDIT, 402, errors.InsufficientFunds),
    (EDIT, 403, errors.PermissionDenied),
    (EDIT, 404, errors.OrderNotFound),
    (EDIT, 409, errors.OrderNotActive),
    (EDIT, 422, errors.InvalidOrder),
    (RETRY, 400, errors.InvalidOrder),
    (RETRY, 402, errors.InsufficientFunds),
    (RETRY, 403, errors.PermissionDenied),
    (RETRY, 404, errors.OrderNotFound),
    (RETRY, 409, errors.OrderNotActive),
    (RETRY, 422, errors.InvalidOrder),
    (CANCEL, 400, errors.OrderNotActive),
    (CANCEL, 403, errors.PermissionDenied),
    (CANCEL, 404, errors.OrderNotFound),
    (CANCEL, 409, errors.OrderNotActive),
    (CANCEL, 422, errors.VenueError),
]
# What a caller meets: where the order is read after the refusal, it may stand as it was.
MET = {
    (EDIT, 409): errors.OrderRejected,
    (RETRY, 409): errors.OrderRejected,
    (CANCEL, 400): errors.VenueError,
    (CANCEL, 409): errors.VenueError,
}


async def run(call: str, gateway: Any, kit: Any, timeout: float | None = None) -> Any:
    """One call of that kind about the order 1."""
    if call == SUBMIT:
        return await gateway.submit(REQUEST, timeout=timeout)
    if call == EDIT:
        return await gateway.edit(kit.uuid(1), OrderEdit(price="59000"), timeout=timeout)
    if call == RETRY:
        return await gateway.retry_failed(kit.uuid(1), timeout=timeout)
    return await gateway.cancel(kit.uuid(1), timeout=timeout)


def set_up(server: Any, kit: Any, call: str) -> None:
    """The order 1 is there, in the state that the call is for."""
    server.rows = [kit.row(1, status="failed" if call == RETRY else "open")]


def test_the_tables_are_these() -> None:
    """Every row is here, and no other: an allow-list does not grow unseen."""
    rows = [
        (call, int(key[:3]), READ_ERRORS.get(meaning, errors.VenueError) if call == CANCEL else WRITE_ERRORS[meaning])
        for call in (SUBMIT, EDIT, RETRY, CANCEL)
        for key, meaning in CODES.columns[call].items()
    ]

    assert set(ROWS) == set(rows)
    assert set(CODES.both) == {"401", "403-bearer"}


@pytest.mark.parametrize(("call", "status", "kind"), ROWS, ids=str)
async def test_each_row_is_met(
    server: Any, make: Callable[..., Any], kit: Any, call: str, status: int, kind: type[errors.VenueError]
) -> None:
    """The class, the server's words, the status, and one write only."""
    set_up(server, kit, call)
    server.writes = [kit.reply({"detail": "no, not so"}, status, x_request_id="r-1")]

    with pytest.raises(MET.get((call, status), kind)) as caught:
        await run(call, make(), kit)

    error = caught.value
    assert type(error) is MET.get((call, status), kind)
    assert "no, not so" in str(error)
    assert (error.http_status, error.request_id, error.gateway, error.operation) == (status, "r-1", "bitcain", call)
    assert len(server.sent) == 1


async def test_the_text_is_the_message(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Nothing is put around what the server says, be it text or an object."""
    for detail in ("Insufficient funds", {"message": "Insufficient funds", "code": "E7"}):
        server.writes = [kit.reply({"detail": detail}, 400)]

        with pytest.raises(errors.OrderRejected) as caught:
            await make().submit(REQUEST)

        assert caught.value.args == ("Insufficient funds",)
    assert caught.value.code == "E7"


@pytest.mark.parametrize("call", [SUBMIT, EDIT, RETRY])
async def test_a_422_names_each_fault(server: Any, make: Callable[..., Any], kit: Any, call: str) -> None:
    """Place and reason of every one, with the words that would be right."""
    set_up(server, kit, call)
    server.writes = [kit.reply({"detail": FAULTS}, 422)]

    with pytest.raises(errors.InvalidOrder) as caught:
        await run(call, make(), kit)

    assert caught.value.args[0].split("; ") == [
        "body.quantity: Input should be a valid decimal",
        "body.side: Bad side (expected 'buy' or 'sell')",
    ]


UNCLEAR = [
    *((status, {"detail": "so?"}) for status in (307, 405, 408, 410, 423, 425, 451, 500, 502, 503, 504)),
    *((status, b"<html>") for status in (400, 401, 402, 403, 404, 409, 422, 429, 500)),
    *((status, {"message": "no detail"}) for status in (400, 402, 403, 404, 422)),
    *((status, {"detail": None}) for status in (400, 404, 422)),
    *((status, []) for status in (400, 404)),
    (200, {"success": False, "error": "Internal error"}),
    (200, b""),
    (201, b'{"success": tr'),
]


@pytest.mark.parametrize(
    ("call", "answer"),
    [(SUBMIT, (409, {"detail": "so?"})), *itertools.product([SUBMIT, EDIT, RETRY], UNCLEAR)],
    ids=str,
)
async def test_everything_else_is_unknown(
    server: Any, make: Callable[..., Any], kit: Any, call: str, answer: tuple[int, Any]
) -> None:
    """Whatever is in no table leaves the outcome open; it names the order and is never sent again."""
    set_up(server, kit, call)
    server.writes = [kit.reply(answer[1], answer[0])]

    with pytest.raises(errors.OutcomeUnknown) as caught:
        await run(call, make(), kit)

    assert (caught.value.operation, caught.value.client_order_id) == (call, "bot-1")
    assert caught.value.order_id == (None if call == SUBMIT else kit.uuid(1))
    assert isinstance(caught.value.__cause__, errors.VenueError)
    assert len(server.sent) == 1


@pytest.mark.parametrize("answer", UNCLEAR, ids=str)
async def test_an_unclear_cancel_is_looked_after(
    server: Any, make: Callable[..., Any], kit: Any, answer: tuple[int, Any]
) -> None:
    """It is unknown while the order works, and settled by the order's end."""
    set_up(server, kit, CANCEL)
    server.writes = [kit.reply(answer[1], answer[0], retry_after="0")]

    with pytest.raises(errors.OutcomeUnknown) as caught:
        await make().cancel(kit.uuid(1))

    assert (caught.value.order_id, caught.value.client_order_id) == (kit.uuid(1), "bot-1")

    def fill(_: Any) -> Any:
        server.rows = [kit.row(1, status="filled", filled_quantity="0.5", remaining_quantity="0")]
        return kit.reply(answer[1], answer[0], retry_after="0")

    server.writes = [fill]

    assert (await make().cancel(kit.uuid(1))).status == "filled"


@pytest.mark.parametrize("call", [SUBMIT, EDIT, RETRY, CANCEL])
async def test_a_path_that_is_not_served_points_at_the_address(
    server: Any, make: Callable[..., Any], kit: Any, call: str
) -> None:
    """The framework's own 404 is about the path: no order was placed, and none is proven absent."""
    set_up(server, kit, call)
    server.writes = [kit.reply({"detail": "Not Found"}, 404)]

    with pytest.raises(errors.OrderRejected if call == SUBMIT else errors.OutcomeUnknown, match="is base_url right"):
        await run(call, make(), kit)


@pytest.mark.parametrize("call", [SUBMIT, EDIT, RETRY, CANCEL])
async def test_a_refused_token_is_renewed_once(server: Any, make: Callable[..., Any], kit: Any, call: str) -> None:
    """Every write is sent once more with the newer token, and then it is AuthenticationFailed."""
    set_up(server, kit, call)
    server.writes = [kit.reply({"detail": "Token expired"}, 401)]
    count = itertools.count()

    with pytest.raises(errors.AuthenticationFailed, match="Token expired"):
        await run(call, make(token=lambda: f"token-number-{next(count)}"), kit)

    assert [request.headers["authorization"] for request in server.sent] == [
        "Bearer token-number-0",
        "Bearer token-number-1",
    ]


@pytest.mark.parametrize("call", [EDIT, RETRY, SUBMIT, CANCEL])
async def test_throttled(server: Any, make: Callable[..., Any], kit: Any, call: str) -> None:
    """Unknown, with RateLimited as the cause; the lock-out holds for every lane."""
    set_up(server, kit, call)
    server.writes = [kit.reply({"detail": "slow down"}, 429, retry_after="9")]
    gateway = make()

    with pytest.raises(errors.OutcomeUnknown) as caught:
        await run(call, gateway, kit, timeout=0.2)

    assert isinstance(caught.value.__cause__, errors.RateLimited)
    assert caught.value.__cause__.retry_after == 9
    with pytest.raises(errors.NotSent):
        await gateway.permit("cancel", timeout=0.01)


async def test_secrets_of_the_server_are_not_shown(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A token that the answer repeats is in neither message nor body."""
    server.writes = [kit.reply({"detail": "token s3cret-token is not allowed"}, 403)]

    with pytest.raises(errors.OrderRejected) as caught:
        await make(token="s3cret-token").submit(REQUEST)

    assert "s3cret" not in f"{caught.value} {caught.value.body}"
