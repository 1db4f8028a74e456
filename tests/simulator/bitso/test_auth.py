"""Signature and nonce of the simulated Bitso."""
# ruff: noqa: E501 - a vector is easier to check against its page on one line

from typing import Any

import pytest

from orderbridge.simulator.bitso.auth import Keys, Nonces
from orderbridge.simulator.bitso.mapping import BitsoRefusal
from orderbridge.simulator.message import Request

# (key, secret, nonce, method, target, body, signature), as documented and as ccxt's own tests have them.
E = ("KEYEXAMPLE", "SECRETEXAMPLE")
K = ("k", "s", "1700000000000")
XRP = '{"book":"xrp_usdt","side":"%s","type":"%s","major":"10"%s}'
VECTORS = [
    (*E, "1700000000000", "GET", "/api/v3/balance", "", "f2f0de8ae5fa50322e016085f1da37e95cc14dd1ad307dfc17c023f9dab0df52"),
    (*E, "1700000000001", "GET", "/api/v3/orders?oids=aaaa1111bbbb2222,cccc3333dddd4444", "", "0a11d02eedca30badb39d636efe78ea02061240445341b4cd00bd14915631674"),
    (*E, "1700000000002123456", "POST", "/api/v3/orders", '{"book":"btc_mxn","side":"buy","type":"limit","major":"0.001","price":"1000000"}', "92942a71c9095e2b65a33b793a1a7a2ceed8e327558b5a19e409a802e0b5a446"),
    (*E, "1700000000003123456", "DELETE", "/api/v3/orders/aaaa1111bbbb2222", "", "e49b78bcd7686f99e57c7e8048523b8000ebee82f067f4a272588587568b4a22"),
    (*K, "POST", "/api/v3/orders", XRP % ("buy", "market", ""), "7d8bab28a52803de7b565fc32049764e58399520ec60f57aeaa3d174a63d46e2"),
    (*K, "POST", "/api/v3/orders", XRP % ("sell", "market", ""), "af742bd79aec649ff787499fa33c623cb8519755fdbbd094d306e94bc3eab23e"),
    (*K, "POST", "/api/v3/orders", XRP % ("buy", "limit", ',"price":"0.4"'), "16eea1b2a62dd76bed187a9bdedda1c24ba885cafda9c36b165f6460033fba52"),
    (*K, "POST", "/api/v3/orders", '{"book":"btc_mxn","side":"buy","type":"limit","major":"0.01","price":"5600"}', "467f5270df12d6f075bccaf70ee5b6438c02c141305a98fb01263407a40ec97f"),
    (*K, "DELETE", "/api/v3/orders/hG5WlCiC4OWRt2up", "", "fec579d846d1bbe7102b0096e5839e604df2c76d595e3c26a46aba39210c6d25"),
    (*K, "DELETE", "/api/v3/orders?oids=543cr2v32a1h6844%2Cqlbga6b600n3xta7a", "", "0bd6f5b9c6de53dd1faa4fd8cfd8e5b020fb53f11ba590ae5702e2061e9f2bfa"),
    (*K, "GET", "/api/v3/orders/543cr2v32a1h6844", "", "8cf5531537098abb77cd0a82e467f85ebe0b17b08b7e4a0d0113db553c5ca058"),
    (*K, "DELETE", "/api/v3/orders/all", "", "72de40a6efb2f1ee5aae3af44cf79aa498d9bbc2a4e0f16b406fa982dc2b7b3e"),
    (*K, "GET", "/api/v3/open_orders?book=btc_mxn&limit=25", "", "5c20127fb32297a5b3b7719f7c0fb1516cf0882ba0d45ac58ba9f8bd3fa6b61e"),
    (*K, "GET", "/api/v3/user_trades?book=btc_mxn&limit=25", "", "0b28a1cabf561c863206441f8899bd76d96606f1a3ad459898d671c69cb416df"),
    (*K, "GET", "/api/v3/order_trades/543cr2v32a1h6844", "", "5e0340e68b6072f53fbe37a2d01db8f5e01949d096f6bc76aeddfe2e41ff6cc2"),
    (*K, "GET", "/api/v3/balance", "", "3c6591820cf608d077cac2d831941bde3a5bbb06bfc376a299a30573f5eede81"),
    (*K, "GET", "/api/v3/ledger", "", "604dbdc123090017df6b8b73db7fd7f6cfd54168eb7e314bacbd899300235132"),
]  # fmt: skip


def signed(vector: tuple[str, ...], **changed: str) -> Request:
    """The vector as a request, with one part of it perhaps changed."""
    key, _, nonce, method, target, body, signature = vector
    parts = {
        "nonce": nonce,
        "method": method,
        "target": target,
        "body": body,
        "signature": signature,
    } | changed
    header = f"Bitso {key}:{parts['nonce']}:{parts['signature']}"
    return Request(parts["method"], parts["target"], {"authorization": header}, parts["body"].encode())


@pytest.mark.parametrize("vector", VECTORS)
def test_known_signatures_pass_and_one_changed_character_fails(vector: tuple[str, ...]) -> None:
    """Each known vector is accepted on fresh nonces; with one character changed anywhere it is `0215`."""
    secrets = {vector[0]: vector[1]}

    assert Keys().check(signed(vector), secrets=secrets) == vector[0]

    nonce, target, body, signature = vector[2], vector[4], vector[5], vector[6]
    other = "0" if signature[-1] != "0" else "1"
    for changed in (
        {"signature": signature[:-1] + other},
        {"nonce": nonce[:-1] + ("5" if nonce[-1] != "5" else "6")},
        {"target": target + "/"},
        {"method": "PUT"},
        {"body": body + " "},
    ):
        with pytest.raises(BitsoRefusal) as refusal:
            Keys().check(signed(vector, **changed), secrets=secrets)
        assert refusal.value.code == "0215"


def test_short_nonces_must_rise() -> None:
    """Thirteen digits or fewer: the same or a lower number is `0207`."""
    nonces = Nonces()

    nonces.accept("1700000000000")

    for used in ("1700000000000", "1699999999999", "5"):
        with pytest.raises(BitsoRefusal, match="0207"):
            nonces.accept(used)
    nonces.accept("1700000000001")


def test_long_nonces_may_come_out_of_order_but_once_only() -> None:
    """Fourteen to nineteen digits: any order, no repeat; short ones are too low from then on."""
    nonces = Nonces()

    nonces.accept("1731349200123123456")
    nonces.accept("1731349200122000000")

    for used in ("1731349200123123456", "1731349200122000000", "1800000000000"):
        with pytest.raises(BitsoRefusal, match="0207"):
            nonces.accept(used)


@pytest.mark.parametrize("nonce", ["", "abc", "-5", "1.5", "1e9", "12345678901234567890", "１２３"])
def test_a_nonce_that_is_no_plain_number_is_0206(nonce: str) -> None:
    """Not a whole number of at most 19 digits: `0206`."""
    with pytest.raises(BitsoRefusal, match="0206"):
        Nonces().accept(nonce)


async def test_missing_and_unknown_credentials_have_their_codes(sim: Any, http: Any, bitso: Any) -> None:
    """No header is `0208`, an unknown key or a malformed header `0201`; all are HTTP 401 in the envelope."""
    url = sim.bitso.base_url + "/open_orders"

    for header, code in (
        ("", "0208"),
        ("Bitso nobody:1:ab", "0201"),
        ("Bearer x", "0201"),
        ("Bitso a:b", "0201"),
    ):
        response = await http.get(url, headers={"authorization": header} if header else {})
        assert response.status_code == 401
        assert response.json()["success"] is False
        assert response.json()["error"]["code"] == code
        assert response.json()["error"]["details"] == []
        assert response.json()["error"]["errorData"] is None


async def test_a_repeated_nonce_names_the_last_one(bitso: Any) -> None:
    """The `0207` message tells the number that must be exceeded, as seen in production."""
    await bitso.send("GET", "/open_orders", nonce="1700000000005")

    response = await bitso.send("GET", "/open_orders", nonce="1700000000005")

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "0207"
    assert "1700000000005" in response.json()["error"]["message"]


async def test_the_second_key_has_an_account_of_its_own(sim: Any, http: Any, bitso: Any, bitso_client: Any) -> None:
    """Its money, orders, trades, nonces and limits are apart from the first key's, but for the market."""
    other = bitso_client(sim, http, second=True)
    sim.bitso.settings.private_per_minute = 8
    theirs = await bitso.place(price="1100000", origin_id="me")
    mine = await other.place(side="sell", price="1100000", origin_id="me")  # trades with nobody: the bid is a quote's

    assert await other.get(f"/orders/{theirs}") == []
    assert [row["oid"] for row in await bitso.get("/open_orders")] == [theirs]
    assert await other.code("GET", f"/order_trades/{theirs}") == (400, "0312")
    assert await other.ok("DELETE", "/orders/all") == []
    assert [row["oid"] for row in await other.get("/user_trades")] == [mine]
    assert await bitso.get("/user_trades") == []
    totals = [
        next(row["total"] for row in (await each.get("/balance"))["balances"] if row["currency"] == "btc")
        for each in (bitso, other)
    ]
    assert totals == ["1000000000.00000000", "999999999.99000000"]
    assert {order.oid: order.account for order in sim.bitso.accepted()} == {theirs: "bot", mine: "mm"}

    for _ in range(4):
        await bitso.get("/open_orders")
    assert await bitso.code("GET", "/open_orders") == (420, "0801")
    assert await other.get("/open_orders") == []


async def test_historic_prefix_and_trailing_slash_are_signed_as_sent(bitso: Any) -> None:
    """`/v3/...` and a trailing slash work, each with its own path in the signature."""
    assert await bitso.get("/open_orders/") == []
    bitso.prefix = "/v3"
    assert await bitso.get("/open_orders") == []


async def test_messages_follow_the_language_and_codes_do_not(bitso: Any) -> None:
    """`Accept-Language: es` changes the text of an error, not its code."""
    english = await bitso.send("GET", "/open_orders?book=xxx_yyy")
    spanish = await bitso.send("GET", "/open_orders?book=xxx_yyy", **{"accept-language": "es-MX,es;q=0.9"})

    assert english.json()["error"]["code"] == spanish.json()["error"]["code"] == "0301"
    assert english.json()["error"]["message"] != spanish.json()["error"]["message"]
