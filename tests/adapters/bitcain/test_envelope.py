"""Where the order or the list is in an answer."""

from typing import Any

import pytest

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.wire import Page, Shapeless, one_order, one_page

ORDER = {"id": "x", "status": "open"}
ROWS = [ORDER]


def nested(path: str, value: object) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


@pytest.mark.parametrize("path", wire.ONE_ORDER)
def test_an_order_is_found_in_each_envelope(path: str) -> None:
    """Each place where they may be is looked at."""
    assert one_order({"success": True, **nested(path, ORDER)}) == ORDER


def test_a_bare_order_is_found() -> None:
    """An object that looks like an order is one."""
    assert one_order(ORDER) == ORDER
    assert one_order({"orderId": 1, "orderStatus": "x"})["orderId"] == 1


@pytest.mark.parametrize("payload", [{}, [], None, "x", {"success": True}, {"data": {"id": "x"}}, {"id": "x"}])
def test_what_holds_no_order_is_shapeless(payload: object) -> None:
    """An empty object, an acknowledgement or an id alone is no order."""
    with pytest.raises(Shapeless):
        one_order(payload)


@pytest.mark.parametrize("path", wire.ORDER_LIST)
def test_a_list_is_found_in_each_envelope(path: str) -> None:
    """Each place where they may be is looked at; an empty list there is a good answer."""
    assert one_page(nested(path, ROWS)).rows == (ORDER,)
    assert one_page(nested(path, [])).rows == ()


def test_a_bare_list_is_found() -> None:
    """A list at the top is tolerated."""
    assert one_page(ROWS) == Page((ORDER,))


@pytest.mark.parametrize("payload", [{}, None, 5, {"success": True, "message": "ok"}, {"orders": {"id": 1}}])
def test_what_holds_no_list_is_shapeless(payload: object) -> None:
    """Only a list is a list; an empty object is an error, not an empty list."""
    with pytest.raises(Shapeless):
        one_page(payload)


def test_the_keys_that_were_there_are_named() -> None:
    """So that the shape can be reported."""
    with pytest.raises(Shapeless, match="ok, note") as caught:
        one_page({"ok": 1, "note": 2})

    assert caught.value.keys == ("ok", "note")


def test_two_different_lists_are_an_error() -> None:
    """Which of them is meant cannot be guessed; the same list twice is no question."""
    with pytest.raises(Shapeless, match="two different"):
        one_page({"orders": ROWS, "items": [1]})
    assert one_page({"orders": ROWS, "items": [], "results": ROWS}).rows == (ORDER,)


CLAIMS = [
    ({"has_more": True}, {"has_more": True}),
    ({"hasMore": False}, {"has_more": False}),
    ({"pagination": {"has_more": True, "total": 5}}, {"has_more": True, "total": 5}),
    ({"has_more": "yes", "total": True}, {}),
    ({"total": 7}, {"total": 7}),
    ({"total_count": 7}, {"total": 7}),
    ({"meta": {"total": 7}}, {"total": 7}),
    ({"count": 1}, {}),
    ({"count": 2}, {"total": 2}),
    ({"limit": 50}, {"limit": 50}),
    ({"next_cursor": "n"}, {"next_cursor": "n"}),
    ({"nextCursor": "n"}, {"next_cursor": "n"}),
    ({"page_info": {"end_cursor": "n"}}, {"next_cursor": "n"}),
    ({"next_cursor": None, "cursor": "n"}, {"next_cursor": "n"}),
    ({"cursor": "sent"}, {}),
    ({"next": "https://x/?offset=5"}, {}),
    ({"next": ""}, {}),
    ({"next": "n"}, {"next_cursor": "n"}),
]


@pytest.mark.parametrize(("fields", "claims"), CLAIMS)
def test_what_a_page_claims_of_the_rest(fields: dict[str, Any], claims: dict[str, Any]) -> None:
    """Each name that it may have is read; an echo and an address are no cursors."""
    assert one_page({"orders": ROWS, **fields}, cursor="sent") == Page((ORDER,), **claims)


MORE = [
    (Page((1, 2)), True),
    (Page((1,)), False),
    (Page((1,), limit=1), True),
    (Page((1,), total=15), True),
    (Page((1, 2), total=12), False),
    (Page((1, 2), total=2), True),
    (Page((1, 2), has_more=False, total=50), False),
    (Page((1,), has_more=True), True),
    (Page((1,), next_cursor="n"), True),
    (Page((), next_cursor="n"), False),
    (Page((1,), next_cursor="n", has_more=False), False),
]


@pytest.mark.parametrize(("page", "more"), MORE)
def test_whether_there_is_more(page: Page, more: bool) -> None:
    """`has_more`, else a cursor, else a believable total, else a full page."""
    assert page.claims_more(offset=10, limit=2) is more
