"""Signing and nonces."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from orderbridge.adapters.bitso.auth import NonceSource, Signer, nonce_source, signature
from orderbridge.http.transport import WireRequest

# Known answers, computed independently of this package. Columns: nonce, method, target, body, signature.
OWN_VECTORS = [
    (
        "1700000000000",
        "GET",
        "/api/v3/balance",
        "",
        "f2f0de8ae5fa50322e016085f1da37e95cc14dd1ad307dfc17c023f9dab0df52",
    ),
    (
        "1700000000001",
        "GET",
        "/api/v3/orders?oids=aaaa1111bbbb2222,cccc3333dddd4444",
        "",
        "0a11d02eedca30badb39d636efe78ea02061240445341b4cd00bd14915631674",
    ),
    (
        "1700000000002123456",
        "POST",
        "/api/v3/orders",
        '{"book":"btc_mxn","side":"buy","type":"limit","major":"0.001","price":"1000000"}',
        "92942a71c9095e2b65a33b793a1a7a2ceed8e327558b5a19e409a802e0b5a446",
    ),
    (
        "1700000000003123456",
        "DELETE",
        "/api/v3/orders/aaaa1111bbbb2222",
        "",
        "e49b78bcd7686f99e57c7e8048523b8000ebee82f067f4a272588587568b4a22",
    ),
]
XRP = '{"book":"xrp_usdt","side":"%s","type":"market","major":"10"}'
# As ccxt 4.5.90 signs with key `k`, secret `s` and nonce 1700000000000. Columns: method, target, body, signature.
CCXT_VECTORS = [
    ("POST", "/api/v3/orders", XRP % "buy", "7d8bab28a52803de7b565fc32049764e58399520ec60f57aeaa3d174a63d46e2"),
    ("POST", "/api/v3/orders", XRP % "sell", "af742bd79aec649ff787499fa33c623cb8519755fdbbd094d306e94bc3eab23e"),
    (
        "POST",
        "/api/v3/orders",
        '{"book":"xrp_usdt","side":"buy","type":"limit","major":"10","price":"0.4"}',
        "16eea1b2a62dd76bed187a9bdedda1c24ba885cafda9c36b165f6460033fba52",
    ),
    (
        "POST",
        "/api/v3/orders",
        '{"book":"btc_mxn","side":"buy","type":"limit","major":"0.01","price":"5600"}',
        "467f5270df12d6f075bccaf70ee5b6438c02c141305a98fb01263407a40ec97f",
    ),
    (
        "DELETE",
        "/api/v3/orders/hG5WlCiC4OWRt2up",
        "",
        "fec579d846d1bbe7102b0096e5839e604df2c76d595e3c26a46aba39210c6d25",
    ),
    (
        "DELETE",
        "/api/v3/orders?oids=543cr2v32a1h6844%2Cqlbga6b600n3xta7a",
        "",
        "0bd6f5b9c6de53dd1faa4fd8cfd8e5b020fb53f11ba590ae5702e2061e9f2bfa",
    ),
    (
        "GET",
        "/api/v3/orders/543cr2v32a1h6844",
        "",
        "8cf5531537098abb77cd0a82e467f85ebe0b17b08b7e4a0d0113db553c5ca058",
    ),
    ("DELETE", "/api/v3/orders/all", "", "72de40a6efb2f1ee5aae3af44cf79aa498d9bbc2a4e0f16b406fa982dc2b7b3e"),
    (
        "GET",
        "/api/v3/open_orders?book=btc_mxn&limit=25",
        "",
        "5c20127fb32297a5b3b7719f7c0fb1516cf0882ba0d45ac58ba9f8bd3fa6b61e",
    ),
    (
        "GET",
        "/api/v3/user_trades?book=btc_mxn&limit=25",
        "",
        "0b28a1cabf561c863206441f8899bd76d96606f1a3ad459898d671c69cb416df",
    ),
    (
        "GET",
        "/api/v3/order_trades/543cr2v32a1h6844",
        "",
        "5e0340e68b6072f53fbe37a2d01db8f5e01949d096f6bc76aeddfe2e41ff6cc2",
    ),
    ("GET", "/api/v3/balance", "", "3c6591820cf608d077cac2d831941bde3a5bbb06bfc376a299a30573f5eede81"),
    ("GET", "/api/v3/ledger", "", "604dbdc123090017df6b8b73db7fd7f6cfd54168eb7e314bacbd899300235132"),
]


@pytest.mark.parametrize(("nonce", "method", "target", "body", "expected"), OWN_VECTORS)
def test_known_answers(nonce: str, method: str, target: str, body: str, expected: str) -> None:
    """The signature covers nonce, method, target and body, exactly as they are sent."""
    assert signature("SECRETEXAMPLE", nonce=nonce, method=method, target=target, body=body.encode()) == expected


@pytest.mark.parametrize(("method", "target", "body", "expected"), CCXT_VECTORS)
def test_agrees_with_ccxt(method: str, target: str, body: str, expected: str) -> None:
    """Every request that ccxt signs is signed alike."""
    assert signature("s", nonce="1700000000000", method=method, target=target, body=body.encode()) == expected


def test_nonce_is_19_digits_and_begins_with_the_milliseconds() -> None:
    """A nonce is what Bitso calls v2: 13 digits of epoch milliseconds, then six more."""
    nonce = NonceSource().next(1_731_349_200.123)

    assert len(nonce) == 19
    assert nonce.startswith("1731349200123")


def test_nonces_rise_when_the_clock_stands_still_or_goes_back() -> None:
    """A nonce is higher than every one before it, whatever the clock does."""
    source = NonceSource()

    nonces = [int(source.next(now)) for now in [1_700_000_000.0] * 2000 + [1_600_000_000.0] * 10]

    assert nonces == sorted(set(nonces))
    assert all(len(str(nonce)) == 19 for nonce in nonces)


def authorization(signer: Signer, method: str = "GET", path: str = "/", body: bytes = b"") -> str:
    """The header that signs a request."""
    return signer.headers(WireRequest(method, f"https://bitso.example{path}", {}, body))["authorization"]


def test_threads_and_gateways_of_one_key_share_a_source() -> None:
    """Two signers of one key, driven by eight threads, never use a nonce twice, and each thread sees them rise."""
    signers = [Signer("shared-key", "secret", clock=lambda: 1_700_000_000.0) for _ in range(2)]

    def work(number: int) -> list[int]:
        signer = signers[number % 2]
        headers = [authorization(signer) for _ in range(500)]
        return [int(header.split(":")[1]) for header in headers]

    with ThreadPoolExecutor(8) as pool:
        by_thread = list(pool.map(work, range(8)))

    assert all(nonces == sorted(nonces) for nonces in by_thread)
    assert len({nonce for nonces in by_thread for nonce in nonces}) == 8 * 500
    assert nonce_source("shared-key") is not nonce_source("another-key")


def test_another_client_of_the_key_takes_nonces_of_the_same_source() -> None:
    """Theirs and ours rise together and are never the same; another key gets none."""
    signer = Signer("lent-key", "secret", clock=lambda: 1_700_000_000.0)
    lent = signer.nonces_of("lent-key")
    assert lent is not None

    first, between, last = lent(), int(authorization(signer).split(":")[1]), lent()

    assert first < between < last
    assert len(str(first)) == 19
    assert signer.nonces_of("lent-kez") is None


def test_header_has_key_nonce_and_signature() -> None:
    """The header reads `Bitso KEY:NONCE:SIGNATURE`, and its signature fits its nonce."""
    signer = Signer("KEYEXAMPLE", "SECRETEXAMPLE", clock=lambda: 1_700_000_000.0)

    header = authorization(signer, "POST", "/api/v3/orders", b"{}")

    scheme, _, rest = header.partition(" ")
    key, nonce, signed = rest.split(":")
    assert (scheme, key) == ("Bitso", "KEYEXAMPLE")
    assert signed == signature("SECRETEXAMPLE", nonce=nonce, method="POST", target="/api/v3/orders", body=b"{}")


def test_repr_shows_no_secret() -> None:
    """Neither key nor secret is in the signer's repr."""
    shown = repr(Signer("KEYEXAMPLE", "SECRETEXAMPLE", clock=lambda: 0.0))

    assert "EXAMPLE" not in shown
